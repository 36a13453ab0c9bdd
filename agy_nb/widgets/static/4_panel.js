// --- the top of a chat panel: the agent, its usage, and further actions ---

// Clear asks first: the panel forgets at once, and the model does not.
function clearing(send, after) {
  const place = make("div", "agy-row agy-sure");
  place.setAttribute("role", "alertdialog");
  place.setAttribute("aria-label", "Clear the panel?");
  const end = () => {
    place.hidden = true;
    after().focus();
  };
  const cancel = button("Cancel", end);
  const clear = button("Clear panel", () => (send({ type: "clear" }), end()), "agy-danger");
  place.append(make("span", "", "Clear the panel? The model still remembers the conversation."), clear, cancel);
  place.hidden = true;
  place.show = () => {
    place.hidden = false;
    cancel.focus();
  };
  return place;
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

// A button that opens a list of buttons; Esc or a click elsewhere closes it.
function menu(items) {
  const place = make("div", "agy-menu");
  const list = make("div", "agy-menu-list");
  list.setAttribute("role", "menu");
  list.hidden = true;
  const show = (yes) => {
    list.hidden = !yes;
    open.setAttribute("aria-expanded", String(yes));
    if (yes) list.querySelector("button:enabled")?.focus();
  };
  const open = button("⋯", () => show(list.hidden), "agy-quiet", "More");
  open.setAttribute("aria-haspopup", "menu");
  open.setAttribute("aria-expanded", "false");
  for (const [words, act, danger] of items) {
    const item = button(words, () => (show(false), act()), danger ? "agy-danger" : "");
    item.setAttribute("role", "menuitem");
    list.append(item);
  }
  place.append(open, list);
  place.addEventListener("focusout", (event) => place.contains(event.relatedTarget) || show(false));
  place.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll("button:enabled")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") (show(false), open.focus());
    else if (step && !list.hidden) {
      event.preventDefault();
      const at = all.indexOf(place.getRootNode().activeElement);
      all[(at + step + all.length) % all.length]?.focus();
    } else return;
    event.stopPropagation();
  });
  place.enable = (yes) => list.querySelectorAll("button").forEach((each) => (each.disabled = !yes));
  place.button = open;
  return place;
}

// The agent's name, model and tools; its context and its cost as they become known.
function header(send) {
  const place = make("div", "agy-header");
  const title = make("strong");
  const model = make("span", "agy-chip");
  const tools = make("span", "agy-chip");
  const context = make("span", "agy-context-used");
  const meter = make("span", "agy-meter");
  const used = make("span");
  meter.append(used);
  const cost = make("span", "agy-cost");
  const sure = clearing(send, () => more.button);
  const exported = (format) => () => send({ type: "export", format });
  const more = menu([
    ["Copy conversation", exported("copy")],
    ["Export as Markdown", exported("markdown")],
    ["Export as JSON", exported("json")],
    ["Save as cassette", exported("cassette")],
    ["Clear…", () => sure.show(), true],
  ]);
  place.append(title, model, tools, make("span", "agy-space"), context, meter, cost, more);
  const put = (element, words, hint = "") => {
    element.textContent = words;
    element.title = hint;
    element.hidden = !words;
  };
  place.sure = sure;
  place.show = ({ name, model: called, tools: known, share, context: words, cost: spent }) => {
    put(title, name);
    put(model, called);
    put(tools, known.length ? (known.length === 1 ? "1 tool" : `${known.length} tools`) : "", known.join("\n"));
    put(context, share === undefined ? "" : `${Math.round(100 * share)} % context`, words);
    meter.hidden = share === undefined;
    used.style.width = `${Math.min(100, 100 * (share ?? 0))}%`;
    put(cost, spent ?? "", "Cost of this session so far");
  };
  place.follow = (isEmpty) => more.enable(!isEmpty);
  return place;
}

// A conversation that has not begun: what the agent is, and prompts to begin with.
function welcome(compose) {
  const place = make("div", "agy-welcome");
  let known = "";
  place.hidden = true;
  place.show = ({ name, model, tools, examples }) => {
    const key = JSON.stringify([name, model, tools, examples]);
    if (key === known) return;
    known = key;
    const facts = [model, tools.length ? `Tools: ${tools.slice(0, 8).join(", ")}${tools.length > 8 ? ", …" : ""}` : ""];
    const row = make("div", "agy-row");
    row.append(...examples.map((each) => button(each, () => compose(each), "agy-example")));
    place.replaceChildren(make("div", "agy-welcome-title", name), make("div", "agy-dim", facts.filter(Boolean).join(" · ")), row);
  };
  return place;
}

// Prompts that were sent but are not in the conversation yet: on their way to Python, or queued.
function waiting(send) {
  const place = make("div", "agy-queue");
  const sent = make("div");
  const queue = make("div");
  const hint = make("div", "agy-dim", "Queued prompts run after this turn, even if you stop it.");
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
    // Python answers prompts in the order in which they were sent.
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


// --- what a chat adds to its nodes ---

// Put code into a new cell below the one that shows the view; only JupyterLab's widget manager has the notebook.
function cellInserter(model, el) {
  const notebook = model.widget_manager?.context?.model?.sharedModel;
  if (typeof notebook?.insertCell !== "function") return null;
  return (source) => {
    const cell = el.closest(".jp-Cell");
    const at = Number(cell?.dataset.windowedListIndex ?? [...(cell?.parentElement?.children ?? [])].indexOf(cell));
    const below = at >= 0 ? at + 1 : notebook.cells.length;
    notebook.insertCell(Math.min(below, notebook.cells.length), { cell_type: "code", source });
  };
}

// Turns have controls; each code block can be copied or become a cell.
function adornments(turn, say, insert) {
  const code = (put, element) => {
    for (const block of element.querySelectorAll("pre")) {
      const row = make("div", "agy-row agy-code-tools");
      const source = () => block.textContent.replace(/\n$/, "");
      row.append(button("Copy", () => copy(source(), "Copied.").then(say), "agy-quiet", "Copy this code"));
      if (insert) row.append(button("Insert as cell", () => (insert(source()), say("Inserted below.")), "agy-quiet"));
      block.after(row);
    }
  };
  return (put, element) => {
    if (put.kind === "block") code(put, element);
    else if (put.turn) turn(put, element);
  };
}

async function copy(text, done = "Copied as Markdown.") {
  try {
    await navigator.clipboard.writeText(text);
    return done;
  } catch {
    return "The clipboard is not available. Export a file instead.";
  }
}

function download(name, text) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

