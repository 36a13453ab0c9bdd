// The front end of every view: it keeps a tree of elements as Python says, and tells Python of clicks.
// All HTML in it was made and sanitised in Python; what is made here is made with textContent.

const BLOCKS = new Set(["P", "LI", "UL", "OL", "BLOCKQUOTE", "PRE", "CODE", "H1", "H2", "H3", "H4", "H5", "H6"]);

const LARGEST_FILES = 9.5e6; // bytes; a notebook server drops a message of more than 10 MiB
const REPLACED_WITHIN_MS = 1000; // in which a front end puts HTML in the place of a view

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function button(text, onclick, className = "", label = "") {
  const element = make("button", `agy-button ${className}`, text);
  element.type = "button";
  if (label) element.setAttribute("aria-label", (element.title = label));
  element.addEventListener("click", onclick);
  return element;
}

// --- the tree of nodes ---

class Tree {
  constructor(root, send) {
    this.root = root;
    this.send = send;
    this.nodes = new Map();
  }

  reset(changes) {
    const open = new Map([...this.nodes].map(([id, node]) => [id, node.element.open]));
    this.root.replaceChildren();
    this.nodes.clear();
    this.apply(changes);
    for (const [id, node] of this.nodes) {
      if (open.get(id) !== undefined) node.element.open = open.get(id);
    }
  }

  apply(changes) {
    for (const change of changes) {
      if (change.put) this.put(change.put);
      else if (change.tail) this.tail(...change.tail);
      else if (change.drop) this.drop(change.drop);
    }
  }

  put(put) {
    const tag = put.fold ? "DETAILS" : "DIV";
    let node = this.nodes.get(put.id);
    if (!node || node.element.tagName !== tag) node = this.create(put, tag, node);
    const { element, head, body } = node;
    element.className = `agy-node agy-${put.kind}`;
    if (put.kind === "stage") element.tabIndex = 0; // it scrolls: the keyboard must get there
    if (put.label) {
      element.setAttribute("role", put.controls ? "alertdialog" : "group");
      element.setAttribute("aria-label", put.label);
    }
    head.innerHTML = put.head || "";
    body.innerHTML = put.body || "";
    body.hidden = put.controls?.questions?.length > 1; // each stands above its answer then
    node.controls.replaceChildren();
    if (put.controls) controls(node.controls, put.id, put.controls, this.send);
  }

  create(put, tag, known) {
    const element = make(tag);
    const node = {
      element,
      head: make(tag === "DETAILS" ? "summary" : "div", "agy-head"),
      body: make("div", "agy-body"),
      controls: make("div", "agy-controls"),
      kids: known ? known.kids : make("div", "agy-kids"),
    };
    element.append(node.head, node.body, node.controls, node.kids);
    if (put.fold === "open") element.open = true;
    if (known) known.element.replaceWith(element);
    else (this.nodes.get(put.parent)?.kids ?? this.root).append(element);
    this.nodes.set(put.id, node);
    return node;
  }

  tail(id, text) {
    const node = this.nodes.get(id);
    if (!node) return;
    let place = node.body;
    while (BLOCKS.has(place.lastElementChild?.tagName)) place = place.lastElementChild;
    const last = place.lastChild;
    if (last?.className === "agy-tail") last.append(text);
    else place.append(make("span", "agy-tail", text));
  }

  refused(id, words) {
    const place = this.nodes.get(id)?.controls;
    const wrong = place?.querySelector(".agy-wrong");
    if (!wrong) return;
    disable(place, false);
    wrong.textContent = words;
  }

  drop(id) {
    const gone = this.nodes.get(id)?.element;
    gone?.remove();
    for (const [key, node] of this.nodes) if (gone?.contains(node.element)) this.nodes.delete(key);
  }
}

// --- controls that stand in a node's HTML: data-agy-act says what, data-agy-value with which value ---

function acts(root, send) {
  const tell = (event, kinds) => {
    const element = event.target.closest?.("[data-agy-act]");
    if (!element || !kinds.includes(element.tagName)) return;
    send({ type: "act", act: element.dataset.agyAct, value: element.dataset.agyValue ?? element.value });
  };
  root.addEventListener("click", (event) => tell(event, ["BUTTON"]));
  root.addEventListener("input", (event) => tell(event, ["INPUT", "SELECT"]));
  root.addEventListener("keydown", (event) => {
    if (event.target.matches?.("input, select")) event.stopPropagation(); // the notebook has shortcuts of its own
  });
}

// Keys that choose or scroll here do not move between the notebook's cells.
function ownKeys(event) {
  const { target } = event;
  const takes = target.matches("input, select") || target.scrollHeight > target.clientHeight;
  if (takes && /^(Arrow|Page|Home|End)/.test(event.key)) event.stopPropagation();
}

// What has the keyboard's focus keeps it when the HTML around it is made anew.
function refocus(root, change) {
  const at = root.getRootNode().activeElement;
  const act = root.contains(at) ? at.dataset.agyAct : undefined;
  change();
  if (act === undefined || at.isConnected) return;
  const same = [...root.querySelectorAll("[data-agy-act]")].filter((each) => each.dataset.agyAct === act);
  (same.find((each) => each.dataset.agyValue === at.dataset.agyValue) ?? same[0])?.focus({ preventScroll: true });
}

// A page has its HTML beside it for the day when there is no kernel; until then that is hidden.
function hider(model) {
  const style = make("style");
  return { style, hide: (yes) => (style.textContent = yes ? `.agy-still-${model.get("key")}{display:none}` : "") };
}

// --- approvals and questions ---

function controls(place, id, wanted, send) {
  if (wanted.type === "approval") approval(place, id, wanted, send);
  else if (wanted.type === "question") question(place, id, wanted, send);
}

function disable(place, yes = true) {
  for (const each of place.querySelectorAll("button, input, textarea")) each.disabled = yes;
}

// A decision is made: the keyboard's focus is not lost with the button.
function settle(place) {
  disable(place);
  place.closest(".agy-nodes")?.focus({ preventScroll: true });
}

function approval(place, id, wanted, send) {
  const reason = make("input", "agy-input");
  reason.placeholder = "Why not? The agent is told (optional)";
  reason.setAttribute("aria-label", "Reason for denying");
  const decide = (choice) => {
    settle(place);
    send({ type: "decide", id, choice, reason: reason.value });
  };
  reason.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") decide("deny");
  });
  const row = make("div", "agy-row");
  row.append(
    button("Allow once", () => decide("once"), "agy-primary"),
    button(`Allow ${wanted.tool} for this session`, () => decide("tool")),
    button("Allow these arguments for this session", () => decide("args")),
  );
  const deny = make("div", "agy-row");
  deny.append(button("Deny", () => decide("deny"), "agy-danger"), reason);
  place.append(row, deny);
  if (wanted.edit) editor(place, row, id, wanted.edit, send);
  if (wanted.fixed) place.append(make("div", "agy-dim", wanted.fixed));
  if (wanted.deadline) {
    const clock = make("span", "agy-countdown agy-dim");
    clock.dataset.deadline = wanted.deadline;
    deny.append(clock);
    tick(clock);
  }
}

// The arguments as text that can be changed; nothing is sent that cannot be read.
function editor(place, row, id, edit, send) {
  const isCommand = edit.form === "command";
  const text = make("textarea", "agy-input agy-edit");
  text.value = edit.text;
  text.rows = Math.min(12, edit.text.split("\n").length + 1);
  text.spellcheck = false;
  text.setAttribute("aria-label", isCommand ? "The command line" : "The arguments, as JSON");
  text.addEventListener("keydown", (event) => event.stopPropagation());
  const wrong = make("div", "agy-wrong");
  wrong.setAttribute("role", "alert");
  const run = () => {
    wrong.textContent = isCommand ? "" : unreadable(text.value);
    if (wrong.textContent) return text.focus();
    settle(place);
    send({ type: "decide", id, choice: "edited", text: text.value });
  };
  const box = make("div", "agy-edit-box");
  const below = make("div", "agy-row");
  below.append(button("Run with these", run, "agy-primary"));
  box.append(text, wrong, below);
  box.hidden = true;
  const open = button("Edit…", () => {
    box.hidden = !box.hidden;
    open.setAttribute("aria-expanded", String(!box.hidden));
    if (!box.hidden) text.focus();
  });
  open.setAttribute("aria-expanded", "false");
  row.append(open);
  row.after(box);
}

function unreadable(text) {
  try {
    const value = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? "" : "The arguments are an object: write {…}";
  } catch (error) {
    return `No JSON: ${error.message}`;
  }
}

function tick(clock) {
  const left = Math.max(0, Math.ceil(Number(clock.dataset.deadline) - Date.now() / 1000));
  const time = left < 60 ? `${left} s` : `${Math.floor(left / 60)} min ${left % 60} s`;
  clock.textContent = `denied by itself in ${time}`;
}

function question(place, id, wanted, send) {
  const asked = wanted.questions.map((each, index) => {
    const box = make("fieldset", "agy-question-box");
    const alone = wanted.questions.length === 1;
    box.append(alone ? make("legend", "agy-dim", "Your answer") : make("legend", "agy-plain", each.question));
    for (const option of each.options) {
      const label = make("label", "agy-option");
      const input = make("input");
      input.type = each.multiple ? "checkbox" : "radio";
      input.name = `${id}-${index}`;
      input.value = option.id;
      label.append(input, make("span", "", option.text));
      box.append(label);
    }
    const text = make("input", "agy-input");
    text.placeholder = each.options.length ? "Or in your own words" : "Your answer";
    text.setAttribute("aria-label", `Answer to: ${each.question}`);
    text.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") answer();
    });
    box.append(text);
    place.append(box);
    return { box, text };
  });
  const answer = (skipped = false) => {
    const answers = asked.map(({ box, text }) => ({
      selected: [...box.querySelectorAll("input:checked")].map((input) => input.value),
      text: text.value,
      skipped,
    }));
    settle(place);
    send({ type: "answer", id, answers });
  };
  const row = make("div", "agy-row");
  row.append(button("Answer", () => answer(), "agy-primary"), button("Skip", () => answer(true)));
  place.append(row);
}

// --- the composer of a chat panel ---

function composer(send, onSubmit) {
  const place = make("div", "agy-composer");
  const text = make("textarea", "agy-input");
  text.rows = 2;
  text.placeholder = "Ask the agent. Enter sends, Shift-Enter makes a line";
  text.setAttribute("aria-label", "Message to the agent");
  const files = make("input");
  files.type = "file";
  files.multiple = true;
  files.hidden = true;
  const chips = make("div", "agy-row");
  const attached = [];
  const show = () => {
    chips.replaceChildren(
      ...attached.map((file, index) => {
        const words = `${file.name} ×`;
        return button(words, () => (attached.splice(index, 1), show()), "agy-chip", `Remove ${file.name}`);
      }),
    );
  };
  const wrong = make("div", "agy-wrong");
  wrong.setAttribute("role", "alert");
  const attach = (list) => {
    const size = (files) => files.reduce((sum, file) => sum + file.size, 0);
    const large = size([...attached, ...list]) > LARGEST_FILES;
    const words = "No more than 9.5 MB can be attached at once: save the rest where the agent can read it.";
    wrong.textContent = large ? words : "";
    if (!large) attached.push(...list);
    show();
  };
  files.addEventListener("change", () => (attach(files.files), (files.value = "")));
  text.addEventListener("paste", (event) => attach(event.clipboardData?.files ?? []));
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => (event.preventDefault(), attach(event.dataTransfer.files)));
  const submit = async () => {
    if (!text.value.trim() && !attached.length) return;
    wrong.textContent = "";
    const sent = attached.splice(0);
    const buffers = await Promise.all(sent.map((file) => file.arrayBuffer()));
    const about = sent.map((file) => ({ name: file.name, mime_type: file.type }));
    onSubmit();
    send({ type: "send", text: text.value, files: about }, buffers);
    text.value = "";
    show();
  };
  text.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has shortcuts of its own
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit();
    }
  });
  const row = make("div", "agy-row");
  row.append(
    button("Send", submit, "agy-primary"),
    button("Attach", () => files.click()),
    button("Retry", () => send({ type: "retry" })),
    button("Edit last", () => send({ type: "edit" })),
    button("Copy", () => send({ type: "export", format: "copy" })),
    button("Markdown", () => send({ type: "export", format: "markdown" }), "", "Export as Markdown"),
    button("JSON", () => send({ type: "export", format: "json" }), "", "Export as JSON"),
    button("Cassette", () => send({ type: "export", format: "cassette" }), "", "Save as a cassette"),
    button("Clear", () => send({ type: "clear" })),
  );
  place.append(chips, wrong, text, files, row);
  place.compose = (words) => {
    text.value = words;
    text.focus();
  };
  return place;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied as Markdown.";
  } catch {
    return "This page may not use the clipboard: Markdown saves the same as a file.";
  }
}

function download(name, text) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

// --- one view ---

function render({ model, el }) {
  const root = make("div", "agy-view");
  const send = (content, buffers = []) => model.send(content, undefined, buffers);
  const nodes = make("div", "agy-nodes");
  const page = model.get("mode") === "page";
  nodes.setAttribute("role", page ? "region" : "log");
  nodes.setAttribute("aria-label", model.get("label"));
  if (!page) nodes.tabIndex = 0;
  const notice = make("div", "agy-gone");
  notice.setAttribute("role", "status");
  const bar = make("div", "agy-bar");
  const stop = button("■ Stop", () => send({ type: "stop" }), "agy-stop", "Stop the turn");
  const status = make("span", "agy-fact");
  bar.append(stop, status);
  root.append(nodes, notice, bar);
  const chat = model.get("mode") === "chat" ? composer(send, () => (nodes.scrollTop = nodes.scrollHeight)) : null;
  if (chat) {
    root.classList.add("agy-chat");
    root.append(chat);
  }
  const still = hider(model);
  if (page) acts(nodes, send);
  root.addEventListener("keydown", ownKeys);
  el.append(root);
  if (page || chat) el.append(still.style); // beside the view, which holds nothing but what it shows

  const tree = new Tree(nodes, send);
  let gone = false;
  const onMessage = (message) => {
    const follows = nodes.scrollHeight - nodes.scrollTop - nodes.clientHeight < 40;
    if (message.type === "reset") tree.reset(message.changes);
    else if (message.type === "changes") refocus(nodes, () => tree.apply(message.changes));
    else if (message.type === "refused") tree.refused(message.id, message.words);
    else if (message.type === "leaving") setTimeout(() => gone || send({ type: "here" }), REPLACED_WITHIN_MS);
    else if (message.type === "compose") chat?.compose(message.text);
    else if (message.type === "copy") copy(message.text).then((words) => (notice.textContent = words));
    else if (message.type === "download") download(message.name, message.text);
    if (message.running !== undefined) {
      stop.hidden = !message.running;
      status.textContent = message.status;
    }
    notice.textContent = message.notice ?? "";
    still.hide(page || chat);
    root.hidden = false;
    if (follows) nodes.scrollTop = nodes.scrollHeight;
  };
  const onGone = async () => {
    const real = await model.widget_manager.get_model(model.get("key")); // `model` does not tell this
    if (real.comm_live === false) {
      notice.textContent = "The kernel is gone; what had come is kept here, nothing more will come.";
      disable(root);
      stop.hidden = true;
      status.textContent = "";
      for (const clock of root.querySelectorAll(".agy-countdown")) {
        clock.classList.remove("agy-countdown"); // it stands still
        clock.textContent = "denied: the kernel is gone";
      }
      still.hide(!page); // a chat's own view may have more than its HTML
      root.hidden = page;
    }
  };
  model.on("msg:custom", onMessage);
  model.on("comm_live_update", onGone);
  const clocks = setInterval(() => root.querySelectorAll(".agy-countdown").forEach(tick), 1000);
  send({ type: "ready" });
  return () => {
    gone = true;
    clearInterval(clocks);
    model.off("msg:custom", onMessage);
    model.off("comm_live_update", onGone);
  };
}

export default { render };
