"""Store repeated texts of the model's side once: `model.yaml` refers to files in `_shared`.

```
compact_bodies  a request's body as YAML data with references, and back
compact_streams a streamed response as its events, and back
shared_texts    the folder `_shared` beside the cassettes
model_yaml      reads and writes `model.yaml`
vcr_file        reads and writes plain files of vcrpy
```
"""
