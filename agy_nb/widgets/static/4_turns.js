// --- what the user can do with a turn of a chat: edit it, send it again, switch to another branch ---

const TURN_RUNS = "Wait for the running turn to end.";

// A button that says why it does nothing. It keeps the keyboard's focus, so it is never `disabled`.
function turnButton(words, label, why, onclick) {
  const made = button(words, onclick, "agy-quiet agy-turn", label);
  Object.assign(made, { says: label, why });
  return made;
}

// "‹ 2/3 ›"
function switcher({ at, of, closed }, go) {
  const place = make("span", "agy-switch");
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", `Branch ${at} of ${of}`);
  const step = (words, label, to) => {
    const edge = to < 1 ? "This is the first branch." : to > of ? "This is the last branch." : "";
    return turnButton(words, label, edge || closed[to - 1] || "", () => go(to, words));
  };
  const number = make("span", "agy-dim", `${at}/${of}`);
  place.append(step("‹", "Previous branch", at - 1), number, step("›", "Next branch", at + 1));
  return place;
}

// The prompt's own bubble becomes a composer. Its attachments stay.
function rewriter(node, { text, files }, save, after) {
  const row = node.element.nextElementSibling; // what else the user can do with the turn
  node.element.querySelector(".agy-rewrite")?.remove();
  const place = make("div", "agy-rewrite");
  const box = make("textarea", "agy-input");
  box.value = text;
  box.setAttribute("aria-label", "Edit this prompt");
  box.title = "Enter to send, Shift+Enter for a new line, Esc to cancel";
  const end = () => {
    place.remove();
    node.body.hidden = row.hidden = false;
    node.rewriting = undefined;
  };
  const look = () => {
    grow(box);
    saving.why = box.value.trim() || files.length ? "" : "A prompt needs text.";
    node.follow();
  };
  const saving = turnButton("Send", "Send and start a new branch", "", () => {
    end();
    save(box.value);
  });
  saving.classList.replace("agy-quiet", "agy-primary");
  const cancel = button("Cancel", () => (end(), after()));
  box.addEventListener("input", look);
  box.addEventListener("keydown", (event) => {
    keepKey(event);
    if (composing(event) || !["Enter", "Escape"].includes(event.key) || event.shiftKey) return;
    event.preventDefault();
    (event.key === "Enter" ? saving : cancel).click();
  });
  const buttons = make("div", "agy-row");
  buttons.append(...files.map((name) => make("span", "agy-chip", name)), make("span", "agy-space"), cancel, saving);
  place.append(box, buttons);
  node.body.hidden = row.hidden = true;
  node.rewriting = place;
  node.body.after(place);
  look();
  box.focus();
  box.setSelectionRange(box.value.length, box.value.length);
}

function turns(root, send) {
  let runs = false;
  let wanted; // where the focus goes after a switch: the branches have nodes of their own
  const rows = () => [...root.querySelectorAll(".agy-actions")];
  const follow = () => {
    for (const each of root.querySelectorAll(".agy-turn")) {
      const why = runs ? TURN_RUNS : each.why;
      each.setAttribute("aria-disabled", String(Boolean(why)));
      each.title = why || each.says;
    }
  };
  const go = (row, node) => (to, words) => {
    wanted = { at: rows().indexOf(row), words };
    send({ type: "switch", node, to });
  };
  const fill = (row, { id, kind, turn }) => {
    const key = JSON.stringify(turn);
    if (row.shows === key) return;
    row.shows = key;
    const focused = row.getRootNode().activeElement;
    const name = row.contains(focused) ? focused.textContent : "";
    const made = [];
    if (!turn.at) made.push(turnButton("Show later turns", "Go back to the branch with the later turns", turn.closed.at(-1), () => go(row, id)(turn.of, "")));
    else if (turn.of > 1)
      made.push(
        switcher(turn, go(row, id)),
        turnButton("Compare", "Show both branches side by side", turn.closed[turn.at - 1], () => send({ type: "compare", node: id })),
      );
    if (kind === "prompt")
      made.push(
        turnButton("Edit", "Edit this prompt", turn.why_not, () => send({ type: "edit", node: id })),
        turnButton("Retry", "Send this prompt again", turn.why_not, () => send({ type: "retry", node: id })),
        button("Copy", () => send({ type: "export", format: "copy", node: id }), "agy-quiet", "Copy this answer"),
      );
    row.replaceChildren(...made);
    if (name) [...row.querySelectorAll("button")].find((each) => each.textContent === name)?.focus();
  };
  return {
    adorn: (put, element) => {
      const known = put.kind === "prompt" ? element.nextElementSibling : element.querySelector(".agy-actions");
      const row = known?.matches(".agy-actions") ? known : make("div", "agy-row agy-actions");
      if (row !== known) put.kind === "prompt" ? element.after(row) : element.append(row);
      fill(row, put);
      const rewriting = element.querySelector(":scope > .agy-rewrite");
      if (rewriting) rewriting.previousElementSibling.hidden = true; // the body, which was put again
      follow();
    },
    follow: (yes) => {
      runs = yes;
      follow();
    },
    rewrite: (id, node, message) => {
      if (!node) return;
      node.follow = follow;
      const save = (text) => {
        send({ type: "rewrite", node: id, text });
        root.focus({ preventScroll: true });
      };
      const edit = () => [...(node.element.nextElementSibling?.querySelectorAll("button") ?? [])].find((each) => each.textContent === "Edit");
      rewriter(node, message, save, () => edit()?.focus());
    },
    refocus: () => {
      if (!wanted) return;
      const row = rows()[wanted.at] ?? rows().at(-1);
      const step = [...(row?.querySelectorAll(".agy-switch button") ?? [])];
      (step.find((each) => each.textContent === wanted.words) ?? step[0] ?? root).focus({ preventScroll: true });
      row?.scrollIntoView({ block: "nearest" });
      wanted = undefined;
    },
  };
}
