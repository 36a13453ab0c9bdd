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
    keepKey(event);
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
    // Measured in each frame, because no observer of sizes notices that something above the card has grown.
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
  text.addEventListener("keydown", keepKey);
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
      keepKey(event);
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

