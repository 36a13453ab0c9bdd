// --- the composer of a chat panel ---

const LARGEST_FILES = 9.5e6; // bytes; a notebook server drops a message of more than 10 MiB

function fileSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

// An attached file: a small picture if it is one, its name and its size.
function fileChip(file, remove) {
  const chip = button("", remove, "agy-chip", `Remove ${file.name}`);
  if (/^image\/(png|jpeg|gif|webp)$/.test(file.type)) {
    const picture = make("img", "agy-thumbnail");
    picture.alt = "";
    picture.src = URL.createObjectURL(file);
    picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
    chip.append(picture);
  }
  chip.append(make("span", "", file.name), make("span", "agy-dim", fileSize(file.size)), make("span", "", "×"));
  return chip;
}

// Rows of text: as high as its lines, up to a limit.
function grow(text) {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

function composer(send, onSubmit, stop) {
  const place = make("div", "agy-composer");
  const text = make("textarea", "agy-input");
  text.rows = 1;
  text.placeholder = "Message the agent";
  text.title = "Enter to send, Shift+Enter for a new line, Esc to stop the turn, ↑ for the last prompt";
  text.setAttribute("aria-label", "Message to the agent");
  const files = make("input");
  files.type = "file";
  files.multiple = true;
  files.hidden = true;
  files.setAttribute("aria-label", "Files to attach");
  const chips = make("div", "agy-row agy-chips");
  const attached = [];
  let isReading = false;
  let ended = ""; // why the agent takes no more prompts
  const look = () => {
    grow(text);
    submitting.disabled = isReading || Boolean(ended) || (!text.value.trim() && !attached.length);
  };
  const show = () => {
    const remove = (index) => () => isReading || (attached.splice(index, 1), show());
    chips.replaceChildren(...attached.map((file, index) => fileChip(file, remove(index))));
    look();
  };
  const wrong = make("div", "agy-wrong");
  wrong.setAttribute("role", "alert");
  const attach = (list) => {
    if (ended) return;
    const size = (files) => files.reduce((sum, file) => sum + file.size, 0);
    const large = size([...attached, ...list]) > LARGEST_FILES;
    const words = "Attachments are limited to 9.5 MB per message. Save larger files where the agent can read them.";
    wrong.textContent = large ? words : "";
    if (!large) attached.push(...list);
    show();
  };
  files.addEventListener("change", () => (attach([...files.files]), (files.value = "")));
  // A spreadsheet puts a picture of the cells beside their text: the text is meant.
  text.addEventListener("paste", (event) => {
    const { clipboardData: pasted } = event;
    if (!pasted?.files.length || pasted.getData("text/plain")) return;
    event.preventDefault();
    attach([...pasted.files]);
  });
  place.addEventListener("dragover", (event) => (event.preventDefault(), place.classList.add("agy-drop")));
  place.addEventListener("dragleave", () => place.classList.remove("agy-drop"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("agy-drop");
    attach([...event.dataTransfer.files]);
  });
  const take = (files) => {
    attached.splice(0, attached.length, ...attached.filter((file) => !files.includes(file)));
    show();
  };
  // While files are read, nothing is sent, and the typed text stays.
  const read = async (files) => {
    isReading = text.readOnly = true;
    place.setAttribute("aria-busy", "true");
    look();
    const found = await Promise.allSettled(files.map((file) => file.arrayBuffer()));
    place.removeAttribute("aria-busy");
    isReading = false;
    text.readOnly = Boolean(ended);
    look();
    return found;
  };
  const submit = async () => {
    if (isReading || ended || (!text.value.trim() && !attached.length)) return;
    wrong.textContent = "";
    const sent = [...attached];
    const found = sent.length ? await read(sent) : [];
    const unread = sent.filter((_, index) => found[index].status === "rejected");
    if (unread.length) {
      take(unread);
      const names = unread.map((file) => file.name).join(", ");
      wrong.textContent = `Cannot read ${names}. Nothing was sent. Attach it again, or send without it.`;
      text.focus();
      return;
    }
    const about = sent.map((file) => ({ name: file.name, mime_type: file.type }));
    onSubmit([text.value.trim(), ...sent.map((file) => file.name)].filter(Boolean).join(" · "));
    send({ type: "send", text: text.value, files: about }, found.map((each) => each.value));
    text.value = "";
    take(sent);
    text.focus();
  };
  const submitting = button("Send", submit, "agy-primary");
  submitting.disabled = true;
  text.addEventListener("input", look);
  text.addEventListener("keydown", (event) => {
    keepKey(event);
    if (event.key === "Enter" && !event.shiftKey && !composing(event)) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && !text.value && !composing(event)) {
      event.preventDefault();
      send({ type: "edit" });
    } else if (event.key === "Escape" && !stop.hidden) {
      event.preventDefault();
      stop.click();
    }
  });
  const row = make("div", "agy-row agy-compose");
  const add = button("+", () => files.click(), "agy-quiet", "Attach files");
  row.append(add, text, submitting, stop);
  place.append(chips, wrong, row, files);
  // Send is Stop while a turn runs; Enter still sends, to the queue.
  place.follow = (running) => (submitting.hidden = running);
  place.end = (words) => {
    ended = text.placeholder = words;
    text.readOnly = add.disabled = true; // the draft can still be copied
    look();
  };
  place.compose = (words) => {
    text.value = words;
    look();
    text.focus();
  };
  return place;
}

