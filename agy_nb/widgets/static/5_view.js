// --- one view ---

// What happens now, and for how long: "Thinking… 4 s · 1,204 tokens".
const activities = new WeakMap(); // the words and the beginning of what each view's turn does

function elapsed(status) {
  const { words = "", since } = activities.get(status) ?? {};
  const [now, ...rest] = words.split(" · ");
  const seconds = since ? Math.max(0, Math.round(Date.now() / 1000 - Number(since))) : 0;
  const text = [words && since ? `${now}… ${seconds} s` : now, ...rest].filter(Boolean).join(" · ");
  if (status.textContent !== text) status.textContent = text;
}

// Keep the bar with Stop in sight while a long answer grows out of the window. `position: sticky` has no
// effect here, since outputs are boxes with overflow of their own.
function floating(root, bar) {
  let timer = 0;
  const place = () => {
    const box = root.getBoundingClientRect();
    let bottom = window.innerHeight;
    for (let above = root.parentElement; above; above = above.parentElement) {
      if (above.scrollHeight > above.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(above).overflowY))
        bottom = Math.min(bottom, above.getBoundingClientRect().bottom);
    }
    const hidden = box.width && box.top < bottom ? box.bottom - bottom : 0;
    const shift = Math.max(0, Math.min(hidden, box.height - bar.offsetHeight));
    bar.style.transform = shift ? `translateY(${-Math.round(shift)}px)` : "";
  };
  return (yes) => {
    if (yes === Boolean(timer)) return;
    if (yes) timer = setInterval(place, 250);
    else timer = clearInterval(timer) ?? 0;
    document[yes ? "addEventListener" : "removeEventListener"]("scroll", place, { capture: true, passive: true });
    bar.style.transform = "";
  };
}

// Keys without Ctrl or Alt are the view's while it has the focus: `x` and `dd` on a button do not delete the
// cell. JupyterLab looks for this attribute of the focused element first; Ctrl+S still saves.
function ownShortcuts(root) {
  const mark = (event) => {
    if (!root.contains(event.target)) return;
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !(event.ctrlKey || event.metaKey || event.altKey));
  };
  window.addEventListener("keydown", mark, true);
  return () => window.removeEventListener("keydown", mark, true);
}

// Chats that a page has opened, each a widget of its own.
function chats(model, send) {
  const place = make("div");
  const shown = new Map();
  const drop = async (key) => {
    const { box, view } = shown.get(key);
    shown.delete(key);
    box.remove();
    (await view)?.remove();
  };
  const mount = async (key, box) => {
    try {
      const view = await model.widget_manager.create_view(await model.widget_manager.get_model(key));
      box.append(view.el);
      return view;
    } catch {
      box.append(make("div", "agy-dim", "This front end cannot show the chat here. Show the panel in a cell."));
    }
  };
  place.show = (wanted) => {
    for (const key of [...shown.keys()]) if (!wanted.some((each) => each.key === key)) drop(key);
    for (const { key, title } of wanted) {
      if (shown.has(key)) continue;
      const box = make("div", "agy-opened");
      const head = make("div", "agy-row");
      const close = button("Close chat", () => send({ type: "act", act: "close-chat", value: key }));
      head.append(make("strong", "", title), close);
      box.append(head);
      place.append(box);
      shown.set(key, { box, view: mount(key, box) });
    }
  };
  place.end = () => [...shown.keys()].forEach(drop);
  return place;
}

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
  const chatty = model.get("mode") === "chat";
  const stop = button("■ Stop", () => send({ type: "stop" }), "agy-stop agy-primary", "Stop this turn");
  stop.hidden = true;
  const status = make("span", "agy-fact");
  bar.append(...(chatty ? [status] : [stop, status]));
  root.append(nodes, notice, bar);
  root.hidden = true; // the HTML beside it is shown until Python answers
  const queued = waiting(send);
  const onSubmit = (words) => {
    end.jump();
    queued.echo(words);
  };
  const end = follower(nodes, chatty);
  const chat = chatty ? composer(send, onSubmit, stop) : null;
  const top = header(send);
  const begin = welcome((words) => chat.compose(words));
  const allowed = grants(send);
  const visible = floating(root, bar);
  if (chat) {
    root.classList.add("agy-chat");
    nodes.before(top, top.sure, allowed, begin);
    root.append(queued.place, chat);
  }
  const still = hider(model);
  const opened = chats(model, send);
  if (page) {
    acts(nodes, send);
    root.append(opened);
  }
  root.addEventListener("keydown", ownKeys);
  const keys = ownShortcuts(root);
  el.append(root);
  el.append(still.style); // beside the view, which holds visible elements only

  const say = (words) => (notice.textContent = words);
  const turn = turns(nodes, send);
  const tree = new Tree(nodes, send, chat ? adornments(turn.adorn, say, cellInserter(model, el)) : undefined);
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
    // The nodes of a reset, or a text to edit, are for the view that asked. What the turn does, its queue and the
    // grants are for all.
    if (forAnother) message = { ...message, type: "status" };
    if (message.type === "reset") (tree.reset(message.changes), turn.refocus());
    else if (message.type === "changes") refocus(nodes, () => tree.apply(message.changes));
    else if (message.type === "refused") tree.refused(message.id, message.words);
    else if (message.type === "leaving") setTimeout(here, REPLACED_WITHIN_MS);
    else if (message.type === "compose" && message.node) turn.rewrite(message.node, tree.nodes.get(message.node), message);
    else if (message.type === "compose") chat?.compose(message.text);
    else if (message.type === "sent") queued.arrived();
    else if (message.type === "copy") copy(message.text).then(say);
    else if (message.type === "download") download(message.name, message.text);
    if (message.queue) queued.show(message.queue);
    if (message.grants) allowed.show(message.grants);
    if (message.running !== undefined) {
      stop.hidden = !message.running;
      stop.textContent = message.stop || "■ Stop";
      stop.setAttribute("aria-label", (stop.title = message.stop ? `${message.stop} this turn` : "Stop this turn"));
      activities.set(status, { words: message.status, since: message.since });
      elapsed(status);
      bar.hidden = !message.running;
      visible(message.running && !chat);
    }
    if (message.chats) opened.show(message.chats);
    if (message.about) (top.show(message.about), begin.show(message.about));
    const isEmpty = !nodes.childElementCount;
    if (message.ended) chat?.end(message.ended);
    chat?.follow(!stop.hidden);
    turn.follow(!stop.hidden);
    top.follow(isEmpty);
    begin.hidden = !isEmpty || !message.about || Boolean(message.ended);
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
      chat?.follow(false);
      top.follow(true);
      bar.hidden = true;
      visible(false);
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
    elapsed(status);
    still.trim();
  }, 1000);
  send({ type: "ready" });
  return () => {
    gone = true;
    setTimeout(() => still.hide(false), REPLACED_WITHIN_MS); // unless other HTML has replaced it
    tree.close();
    opened.end();
    visible(false);
    keys();
    clearInterval(clocks);
    model.off("msg:custom", onMessage);
    model.off("comm_live_update", onGone);
  };
}

export default { render };
