// The nodes of a view: Python's changes are applied to a tree of elements. The files of this folder are one
// script, in alphabetical order. Python makes and sanitises all HTML; they make elements with textContent only.

const BLOCKS = new Set(["P", "LI", "UL", "OL", "BLOCKQUOTE", "PRE", "CODE", "H1", "H2", "H3", "H4", "H5", "H6"]);

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

// The notebook has shortcuts of its own for the keys that are typed here. Saving it still works.
function keepKey(event) {
  const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
  if (!saves) event.stopPropagation();
}

// --- the tree of nodes ---

class Tree {
  // `adorn` gets each node with its element, once the element has new content.
  constructor(root, send, adorn = () => {}) {
    this.root = root;
    this.send = send;
    this.adorn = adorn;
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
      this.adorn(put, body);
      return;
    }
    if (put.kind === "player") element.tabIndex = 0; // it scrolls: the keyboard must get there
    if (put.label) {
      element.setAttribute("role", put.controls ? "alertdialog" : "group");
      element.setAttribute("aria-label", put.label);
    }
    head.innerHTML = put.head || "";
    if (!put.controls || node.html !== put.body) keepScroll(body, () => (body.innerHTML = put.body || ""));
    node.html = put.body; // a call that is looked at stays where it was scrolled to
    body.hidden = put.controls?.questions?.length > 1; // each stands above its answer then
    this.control(node, put);
    this.adorn(put, element);
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
    // Into the last paragraph or item, where the text will be once its block is rendered.
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

// A list stays where it was scrolled to when its rows change, but not when it is sorted.
function keepScroll(body, change) {
  const before = body.querySelector(".agy-list");
  const from = before?.scrollTop;
  change();
  const after = from ? body.querySelector(".agy-list") : undefined;
  if (after && after.tHead?.innerHTML === before.tHead?.innerHTML) after.scrollTop = from;
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
    if (event.target.matches?.("input, select")) keepKey(event);
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
  if (scrolls) new ResizeObserver(follow).observe(place);
  return { follow, jump: () => ((follows = true), follow()) };
}

