from agy_nb.cassette.errors import (
    CassetteActiveError as CassetteActiveError,
    CassetteBusyError as CassetteBusyError,
    CassetteError as CassetteError,
    CassetteInvalidError as CassetteInvalidError,
    CassetteMismatchError as CassetteMismatchError,
    CassetteNotFoundError as CassetteNotFoundError,
    CassetteNotWrittenError as CassetteNotWrittenError,
    EchoRecordingError as EchoRecordingError,
    RebuildError as RebuildError,
)
from agy_nb.cassette.use import use_cassette as use_cassette
