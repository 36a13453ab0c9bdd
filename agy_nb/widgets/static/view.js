// The front end of every view: it applies Python's changes to a tree of elements and sends clicks.
// Python makes and sanitises all HTML; this file makes elements with textContent only.

const BLOCKS = new Set(["P", "LI", "UL", "OL", "BLOCKQUOTE", "PRE", "CODE", "H1", "H2", "H3", "H4", "H5", "H6"]);

const LARGEST_FILES = 9.5e6; // bytes; a notebook server drops a message of more than 10 MiB
const REPLACED_WITHIN_MS = 1000; // in which a front end puts HTML in the place of a view

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

// HTML that Python made and sanitised.
function html(tag, inside) {
  const element = make(tag);
  element.innerHTML = inside;
  return element;
}

function button(text, onclick, className = "", label = "") {
  const element = make("button", `agy-button ${className}`, text);
  element.type = "button";
  if (label) element.setAttribute("aria-label", (element.title = label));
  element.addEventListener("click", (event) => element.getAttribute("aria-disabled") === "true" || onclick(event));
  return element;
}

// --- the tree of nodes ---

class Tree {
  constructor(root, send) {
    this.root = root;
    this.send = send;
    this.nodes = new Map();
    this.before = new Map(); // the nodes before a reset, whose typed text is kept
  }

  reset(changes) {
    const before = new Map(this.nodes);
    this.root.replaceChildren();
    this.nodes.clear();
    this.before = before;
    this.apply(changes);
    this.before = new Map();
    for (const [id, node] of this.nodes) {
      const open = before.get(id)?.element.open;
      if (open !== undefined) node.element.open = open;
    }
    for (const [id, node] of before) if (this.nodes.get(id)?.end !== node.end) node.end?.();
  }

  // The controls do nothing any more; a node that is put again gets new ones.
  close() {
    for (const node of this.nodes.values()) {
      node.end?.();
      node.end = node.wanted = undefined;
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
    if (put.kind === "block") {
      body.innerHTML = put.body || "";
      return;
    }
    if (put.kind === "player") element.tabIndex = 0; // it scrolls: the keyboard must get there
    if (put.label) {
      element.setAttribute("role", put.controls ? "alertdialog" : "group");
      element.setAttribute("aria-label", put.label);
    }
    head.innerHTML = put.head || "";
    if (!put.controls || node.html !== put.body) body.innerHTML = put.body || "";
    node.html = put.body; // a call that is looked at stays where it was scrolled to
    body.hidden = put.controls?.questions?.length > 1; // each stands above its answer then
    this.control(node, put);
  }

  // Unchanged controls stay, with the text that the user typed in them.
  control(node, put) {
    const wanted = JSON.stringify(put.controls ?? null);
    if (node.wanted === wanted) return;
    node.end?.();
    node.controls.replaceChildren();
    delete node.controls.dataset.settled;
    node.wanted = wanted;
    node.end = put.controls ? controls(node, put.id, put.controls, this.send) : undefined;
  }

  create(put, tag, known) {
    const element = make(tag);
    const before = this.before.get(put.id);
    const same = known ?? (before?.element.tagName === tag ? before : undefined);
    if (put.kind === "block") return this.place(put, { element, body: element }); // most nodes are blocks
    const node = {
      element,
      head: make(tag === "DETAILS" ? "summary" : "div", "agy-head"),
      body: same?.wanted ? same.body : make("div", "agy-body"),
      controls: same?.controls ?? make("div", "agy-controls"),
      kids: known ? known.kids : make("div", "agy-kids"),
      wanted: same?.wanted,
      html: same?.html,
      end: same?.end,
    };
    element.append(node.head, node.body, node.controls, node.kids);
    if (put.fold === "open") element.open = true;
    return this.place(put, node, known);
  }

  place(put, node, known) {
    if (known) known.element.replaceWith(node.element);
    else (this.nodes.get(put.parent)?.kids ?? this.root).append(node.element);
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
    if (!place) return;
    let wrong = place.querySelector(".agy-wrong");
    if (!wrong) place.append((wrong = make("div", "agy-wrong")));
    delete place.dataset.settled;
    disable(place, false);
    wrong.textContent = words;
  }

  drop(id) {
    const gone = this.nodes.get(id)?.element;
    gone?.remove();
    for (const [key, node] of this.nodes) {
      if (!gone?.contains(node.element)) continue;
      node.end?.();
      this.nodes.delete(key);
    }
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

// Keep the keyboard's focus when the HTML around it is replaced.
function refocus(root, change) {
  const at = root.getRootNode().activeElement;
  const act = root.contains(at) ? at.dataset.agyAct : undefined;
  change();
  if (act === undefined || at.isConnected) return;
  const same = [...root.querySelectorAll("[data-agy-act]")].filter((each) => each.dataset.agyAct === act);
  (same.find((each) => each.dataset.agyValue === at.dataset.agyValue) ?? same[0])?.focus({ preventScroll: true });
}

// A view has static HTML beside it for pages without a kernel. While a kernel runs, the HTML is hidden and
// its elements are taken out of the page: the notebook keeps its source, and the page has each turn once.
function hider(model) {
  const style = make("style");
  const name = `agy-still-${model.get("key")}`;
  const copies = document.getElementsByClassName(name); // stays up to date
  const sources = new Map();
  let hidden = false;
  const trim = () => {
    if (!hidden) return;
    for (const element of [...sources.keys()]) if (!element.isConnected) sources.delete(element);
    for (const element of copies) {
      if (!element.firstChild) continue;
      sources.set(element, element.innerHTML);
      element.replaceChildren();
    }
  };
  const hide = (yes) => {
    if (yes === hidden) return;
    hidden = yes;
    style.textContent = yes ? `.agy-view.${name}{display:none}` : "";
    if (!yes) for (const [element, source] of sources) if (!element.firstChild) element.innerHTML = source; // from Python
    sources.clear();
    trim();
  };
  return { style, hide, trim };
}

// Keep the end of a chat in sight unless the user has scrolled up. To measure is to lay out the page, so
// this is done once per frame, and never in a view that does not scroll.
function follower(place, scrolls) {
  let follows = true;
  let frame = 0;
  const jump = () => {
    frame = 0;
    if (follows) place.scrollTop = place.scrollHeight;
  };
  if (scrolls)
    place.addEventListener("scroll", () => {
      if (!frame) follows = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    }, { passive: true });
  const follow = () => {
    if (scrolls && !frame) frame = requestAnimationFrame(jump);
  };
  return { follow, jump: () => ((follows = true), follow()) };
}

// --- approvals and questions ---

const LONGEST_PRESS_MS = 1000;
const STEADY_MS = 400; // a card must stand still for this long before it can allow anything

// Each gives a function that ends it.
function controls(node, id, wanted, send) {
  if (wanted.type === "approval") return approval(node, id, wanted, send);
  question(node.controls, id, wanted, send);
  return () => {};
}

function disable(place, yes = true) {
  for (const each of place.querySelectorAll("button, input, textarea")) each.disabled = yes;
}

// A decision is made: the keyboard's focus is not lost with the button.
function settle(place) {
  place.dataset.settled = "yes";
  disable(place);
  place.closest(".agy-nodes")?.focus({ preventScroll: true });
}

// An input method has the key: Enter ends a word there, and decides nothing here.
function composing(event) {
  return event.isComposing || event.keyCode === 229;
}

function approval(node, id, wanted, send) {
  const place = node.controls;
  const reason = make("input", "agy-input");
  reason.placeholder = "Reason (optional, sent to the agent)";
  reason.setAttribute("aria-label", "Reason for denying");
  let edit = null;
  const decide = (choice) => {
    settle(place);
    const text = edit?.changed() ? { text: edit.text.value } : {};
    send({ type: "decide", id, choice, reason: reason.value, ...text });
  };
  reason.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter" && !composing(event)) decide("deny");
  });
  const always = "Until the agent shuts down. Revoke it in the agent's chat panel or with agent.grants.";
  const allow = [
    button("Allow once", () => decide("once"), "agy-primary"),
    button(`Always allow ${wanted.tool}`, () => decide("tool")),
    button("Always allow this exact call", () => decide("call")),
  ];
  for (const each of allow.slice(1)) each.title = always;
  const row = make("div", "agy-row");
  const deny = make("div", "agy-row");
  deny.append(button("Deny", () => decide("deny"), "agy-danger"), reason);
  const hint = make("div", "agy-dim agy-hint");
  hint.setAttribute("role", "status");
  if (wanted.shown) {
    row.append(...allow);
    place.append(row);
    if (wanted.edit) edit = editor(place, row, wanted.edit, () => decide("edited"));
  }
  place.append(deny, hint);
  if (wanted.fixed) place.append(make("div", "agy-dim", wanted.fixed));
  if (wanted.deadline) {
    const clock = make("span", "agy-countdown agy-dim");
    clock.dataset.deadline = wanted.deadline;
    deny.append(clock);
    tick(clock);
  }
  return wanted.shown ? guard(node, allow, edit, hint) : () => {};
}

// A button that has the keyboard's focus keeps it while it does nothing. A press that began while it
// did something counts, though the page may move under the pointer before it ends.
function permit(button, yes) {
  if (button.pressed) return;
  button.setAttribute("aria-disabled", String(!yes));
  button.disabled = !yes && button.getRootNode().activeElement !== button;
}

// The position of an element in its view, and of the view on the page; empty if it is not visible. The
// user scrolls the page, which moves nothing here. A view scrolls by itself when it grows.
function position(place) {
  const box = place.getBoundingClientRect();
  if (!box.width) return "";
  let { x, y } = box;
  for (let above = place.closest(".agy-view")?.parentElement; above; above = above.parentElement) {
    x += above.scrollLeft;
    y += above.scrollTop;
  }
  return `${Math.round(x)} ${Math.round(y)}`;
}

// Nothing is allowed by a click that was meant for something else, or before all of the call was
// seen: the buttons wait until the card has stood still for a moment, each block of it was scrolled
// to its end, and no edit is left behind.
function guard(node, allow, edit, hint) {
  const place = node.controls;
  const seen = new WeakSet();
  let where = "";
  let since = 0;
  let frame = 0;
  const isSeen = (block) => {
    const end = block.scrollTop + block.clientHeight >= block.scrollHeight - 4;
    if (block.clientHeight && end) seen.add(block);
    return seen.has(block);
  };
  const look = (now) => {
    frame = requestAnimationFrame(look);
    if (place.dataset.settled) return;
    const here = position(place);
    if (here !== where) [where, since] = [here, now];
    const steady = here !== "" && now - since >= STEADY_MS;
    const whole = [...node.body.querySelectorAll("pre")].map(isSeen).every(Boolean);
    const changed = edit?.changed() ?? false;
    for (const each of allow) permit(each, steady && whole && !changed);
    if (edit) permit(edit.run, steady && whole && changed);
    const words = changed
      ? "You edited this call. Run it edited, or discard the edits."
      : whole ? "" : "Scroll to the end of the call to allow it.";
    if (hint.textContent !== words) hint.textContent = words;
  };
  for (const each of edit ? [...allow, edit.run] : allow) {
    permit(each, false);
    each.addEventListener("pointerdown", () => {
      each.pressed = each.getAttribute("aria-disabled") !== "true";
      setTimeout(() => (each.pressed = false), LONGEST_PRESS_MS);
    });
    each.addEventListener("click", () => (each.pressed = false));
  }
  frame = requestAnimationFrame(look);
  return () => cancelAnimationFrame(frame);
}

// The arguments as text that can be changed; nothing is sent that cannot be read.
function editor(place, row, edit, decide) {
  const isCommand = edit.form === "command";
  const text = make("textarea", "agy-input agy-edit");
  text.value = edit.text;
  const before = text.value;
  text.rows = Math.min(12, edit.text.split("\n").length + 1);
  text.spellcheck = false;
  text.setAttribute("aria-label", isCommand ? "Command line" : "Arguments as JSON");
  text.addEventListener("keydown", (event) => event.stopPropagation());
  const wrong = make("div", "agy-wrong");
  wrong.setAttribute("role", "alert");
  const changed = () => text.value !== before;
  const run = button("Run edited", () => {
    wrong.textContent = isCommand ? "" : unreadable(text.value);
    if (wrong.textContent) text.focus();
    else decide();
  }, "agy-primary");
  permit(run, false);
  const box = make("div", "agy-edit-box");
  const show = (yes) => {
    box.hidden = !yes;
    open.setAttribute("aria-expanded", String(yes));
    if (yes) text.focus();
  };
  const open = button("Edit…", () => show(box.hidden || changed()));
  const discard = button("Discard edits", () => {
    text.value = before;
    wrong.textContent = "";
    show(false);
    open.focus();
  });
  const below = make("div", "agy-row");
  below.append(run, discard);
  box.append(text, wrong, below);
  box.hidden = true;
  open.setAttribute("aria-expanded", "false");
  row.append(open);
  row.after(box);
  return { text, run, changed };
}

function unreadable(text) {
  try {
    const value = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? "" : "The arguments must be a JSON object: {…}";
  } catch (error) {
    return `Invalid JSON: ${error.message}`;
  }
}

function tick(clock) {
  const left = Math.max(0, Math.ceil(Number(clock.dataset.deadline) - Date.now() / 1000));
  clock.textContent = `auto-deny in ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

function question(place, id, wanted, send) {
  const asked = wanted.questions.map((each, index) => {
    const box = make("fieldset", "agy-question-box");
    const alone = wanted.questions.length === 1;
    box.append(alone ? make("legend", "agy-dim", "Your answer") : html("legend", each.html));
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
    text.placeholder = each.options.length ? "Or your own answer" : "Your answer";
    text.setAttribute("aria-label", `Answer to: ${each.question}`);
    text.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && !composing(event)) answer();
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

// Clear asks first: the panel forgets at once, and the model does not.
function clearing(send, after) {
  const place = make("div", "agy-row");
  place.setAttribute("role", "alertdialog");
  place.setAttribute("aria-label", "Clear the conversation?");
  const end = () => {
    place.hidden = true;
    after.focus();
  };
  const keep = button("Keep", end);
  const clear = button("Clear conversation", () => (send({ type: "clear" }), end()), "agy-danger");
  place.append(make("span", "", "Clear this panel? The model still remembers the conversation."), clear, keep);
  place.hidden = true;
  place.show = () => {
    place.hidden = false;
    keep.focus();
  };
  return place;
}

function composer(send, onSubmit, stop) {
  const place = make("div", "agy-composer");
  const text = make("textarea", "agy-input");
  text.rows = 2;
  text.placeholder = "Ask the agent. Enter to send, Shift+Enter for a new line";
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
        const remove = () => place.getAttribute("aria-busy") || (attached.splice(index, 1), show());
        return button(words, remove, "agy-chip", `Remove ${file.name}`);
      }),
    );
  };
  const wrong = make("div", "agy-wrong");
  wrong.setAttribute("role", "alert");
  const attach = (list) => {
    const size = (files) => files.reduce((sum, file) => sum + file.size, 0);
    const large = size([...attached, ...list]) > LARGEST_FILES;
    const words = "Attachments are limited to 9.5 MB per message. Save larger files where the agent can read them.";
    wrong.textContent = large ? words : "";
    if (!large) attached.push(...list);
    show();
  };
  files.addEventListener("change", () => (attach(files.files), (files.value = "")));
  text.addEventListener("paste", (event) => attach(event.clipboardData?.files ?? []));
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => (event.preventDefault(), attach(event.dataTransfer.files)));
  const take = (files) => {
    attached.splice(0, attached.length, ...attached.filter((file) => !files.includes(file)));
    show();
  };
  // While files are read, nothing is sent, and the typed text stays.
  const read = async (files) => {
    place.setAttribute("aria-busy", "true");
    text.readOnly = submitting.disabled = true;
    const found = await Promise.allSettled(files.map((file) => file.arrayBuffer()));
    place.removeAttribute("aria-busy");
    text.readOnly = submitting.disabled = false;
    return found;
  };
  const submit = async () => {
    if (place.getAttribute("aria-busy") || (!text.value.trim() && !attached.length)) return;
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
  };
  const submitting = button("Send", submit, "agy-primary");
  text.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has shortcuts of its own
    if (event.key === "Enter" && !event.shiftKey && !composing(event)) {
      event.preventDefault();
      submit();
    }
  });
  const row = make("div", "agy-row");
  const needTurns = [
    button("Retry", () => send({ type: "retry" })),
    button("Edit last", () => send({ type: "edit" })),
    button("Copy", () => send({ type: "export", format: "copy" })),
    button("Markdown", () => send({ type: "export", format: "markdown" }), "", "Export as Markdown"),
    button("JSON", () => send({ type: "export", format: "json" }), "", "Export as JSON"),
    button("Cassette", () => send({ type: "export", format: "cassette" }), "", "Save as cassette"),
    button("Clear", () => sure.show()),
  ];
  const sure = clearing(send, text);
  row.append(submitting, stop, button("Attach", () => files.click()), ...needTurns);
  place.append(chips, wrong, text, files, row, sure);
  // Send is Stop while a turn runs; Enter still sends, to the queue.
  place.follow = (running, isEmpty) => {
    submitting.hidden = running;
    for (const each of needTurns) each.disabled = isEmpty;
  };
  place.compose = (words) => {
    text.value = words;
    text.focus();
  };
  return place;
}

// Prompts that were sent but are not in the conversation yet: on their way to Python, or queued.
function waiting(send) {
  const place = make("div", "agy-queue");
  const sent = make("div");
  const queue = make("div");
  const hint = make("div", "agy-dim", "Queued prompts run after this turn, also if you stop it.");
  hint.hidden = true;
  place.append(queue, sent, hint);
  const row = (state, words) => {
    const line = make("div", "agy-queued");
    line.append(make("span", "agy-badge agy-badge-wait", state), make("span", "agy-queued-text", words));
    return line;
  };
  let known = "";
  return {
    place,
    echo: (words) => sent.append(row("Sending…", words)),
    arrived: () => sent.firstElementChild?.remove(),
    lost: () => sent.querySelectorAll(".agy-badge").forEach((each) => (each.textContent = "Not sent")),
    show: (found) => {
      const key = JSON.stringify(found);
      if (key === known) return;
      known = key;
      hint.hidden = !found.length;
      queue.replaceChildren(
        ...found.map(({ turn, words }) => {
          const line = row("Queued", words);
          line.append(button("Remove", () => send({ type: "unqueue", turn }), "", `Remove ${words}`));
          return line;
        }),
      );
    },
  };
}

// What the agent may do without asking, with a button to end each.
function grants(send) {
  const place = make("details", "agy-grants");
  const head = make("summary");
  const list = make("ul");
  place.append(head, list);
  place.hidden = true;
  let known = "";
  place.show = (found) => {
    const key = JSON.stringify(found);
    if (key === known) return;
    known = key;
    place.hidden = !found.length;
    head.textContent = `Always allowed (${found.length})`;
    list.replaceChildren(
      ...found.map(({ number, words }) => {
        const line = make("li");
        const revoke = () => send({ type: "revoke", grant: number });
        line.append(make("code", "", words), button("Revoke", revoke, "", `Revoke ${words}`));
        return line;
      }),
    );
  };
  return place;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied as Markdown.";
  } catch {
    return "Clipboard not available. Use Markdown to save a file instead.";
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
  const view = Math.random().toString(36).slice(2); // a widget can be shown in several places
  const send = (content, buffers = []) => model.send({ ...content, view }, undefined, buffers);
  const nodes = make("div", "agy-nodes");
  const page = model.get("mode") === "page";
  nodes.setAttribute("role", page ? "region" : "log");
  nodes.setAttribute("aria-label", model.get("label"));
  if (!page) nodes.tabIndex = 0;
  const notice = make("div", "agy-gone");
  notice.setAttribute("role", "status");
  const bar = make("div", "agy-bar");
  const stop = button("■ Stop", () => send({ type: "stop" }), "agy-stop agy-primary", "Stop this turn");
  stop.hidden = true;
  const status = make("span", "agy-fact");
  bar.append(...(model.get("mode") === "chat" ? [status] : [stop, status]));
  root.append(nodes, notice, bar);
  root.hidden = true; // the HTML beside it is shown until Python answers
  const queued = waiting(send);
  const onSubmit = (words) => {
    end.jump();
    queued.echo(words);
  };
  const end = follower(nodes, model.get("mode") === "chat");
  const chat = model.get("mode") === "chat" ? composer(send, onSubmit, stop) : null;
  const allowed = grants(send);
  if (chat) {
    root.classList.add("agy-chat");
    root.append(queued.place, allowed, chat);
  }
  const still = hider(model);
  if (page) acts(nodes, send);
  root.addEventListener("keydown", ownKeys);
  el.append(root);
  el.append(still.style); // beside the view, which holds visible elements only

  const tree = new Tree(nodes, send);
  let gone = false;
  const here = () => {
    try {
      if (!gone) send({ type: "here" });
    } catch {
      gone = true; // this page has lost its kernel while it waited
    }
  };
  const onMessage = (message) => {
    const forAnother = message.view !== undefined && message.view !== view;
    if (forAnother) message = { ...message, type: "status" };
    if (message.type === "reset") tree.reset(message.changes);
    else if (message.type === "changes") refocus(nodes, () => tree.apply(message.changes));
    else if (message.type === "refused") tree.refused(message.id, message.words);
    else if (message.type === "leaving") setTimeout(here, REPLACED_WITHIN_MS);
    else if (message.type === "compose") chat?.compose(message.text);
    else if (message.type === "sent") queued.arrived();
    else if (message.type === "copy") copy(message.text).then((words) => (notice.textContent = words));
    else if (message.type === "download") download(message.name, message.text);
    if (message.queue) queued.show(message.queue);
    if (message.grants) allowed.show(message.grants);
    if (message.running !== undefined) {
      stop.hidden = !message.running;
      stop.textContent = message.stop || "■ Stop";
      stop.setAttribute("aria-label", (stop.title = message.stop ? `${message.stop} this turn` : "Stop this turn"));
      status.textContent = message.status;
    }
    chat?.follow(!stop.hidden, !nodes.childElementCount);
    notice.textContent = message.notice ?? "";
    still.hide(true);
    root.hidden = false;
    end.follow();
  };
  const onGone = async () => {
    const real = await model.widget_manager.get_model(model.get("key")); // `model` does not tell this
    if (real.comm_live === false) {
      notice.textContent = "Kernel disconnected. The notebook keeps the answer so far.";
      tree.close();
      queued.lost();
      disable(root);
      stop.hidden = true;
      chat?.follow(false, true);
      status.textContent = "";
      for (const clock of root.querySelectorAll(".agy-countdown")) {
        clock.classList.remove("agy-countdown"); // it stands still
        clock.textContent = "denied: kernel disconnected";
      }
      still.hide(!page); // a chat's own view may have more than its HTML
      root.hidden = page;
    }
  };
  model.on("msg:custom", onMessage);
  model.on("comm_live_update", onGone);
  const clocks = setInterval(() => {
    root.querySelectorAll(".agy-countdown").forEach(tick);
    still.trim();
  }, 1000);
  send({ type: "ready" });
  return () => {
    gone = true;
    setTimeout(() => still.hide(false), REPLACED_WITHIN_MS); // unless other HTML has replaced it
    tree.close();
    clearInterval(clocks);
    model.off("msg:custom", onMessage);
    model.off("comm_live_update", onGone);
  };
}

export default { render };
