// The utterances of a comparison: which of them, by what they hold, in which order.
{
  const list = document.getElementById("changes");
  const tools = document.querySelector(".tools");
  if (list && tools) {
    const items = [...list.children];
    const find = document.getElementById("find"), order = document.getElementById("order");
    const kinds = [...document.querySelectorAll("button.kind")];
    // what an utterance holds, not what the page says of it ("better", "errors"): its names, then REF, A and B as sentences
    const columns = (item) => [...item.querySelectorAll(".word:not(.head)")];
    const heard = (word, row) => word.children[row].firstChild.data;
    const sentence = (item, row) => columns(item).map((word) => heard(word, row)).join(" ");
    const held = (item) => [item.dataset.id, item.dataset.speaker, ...[0, 1, 2].map((row) => sentence(item, row))]
      .join("\n").toLocaleLowerCase();
    const texts = new Map(items.map((item) => [item, held(item)]));
    const references = new Map(items.map((item) => [item, new Set(columns(item).map((word) => heard(word, 0)))]));
    let kind = "", whole = "";  // of a chip the whole word of the reference: "one" is not in "everyone"
    const show = () => {
      const wanted = find.value.trim().toLocaleLowerCase();
      let shown = 0;
      for (const item of items) {
        const holds = whole !== "" && find.value === whole
          ? references.get(item).has(whole) : texts.get(item).includes(wanted);
        item.hidden = (kind !== "" && item.dataset.kind !== kind) || !holds;
        shown += !item.hidden;
      }
      document.getElementById("shown").textContent = `${shown} of ${items.length}`;
    };
    const orders = {
      gain: (a, b) => b.dataset.gain - a.dataset.gain,
      loss: (a, b) => a.dataset.gain - b.dataset.gain,
      seconds: (a, b) => b.dataset.seconds - a.dataset.seconds,
      id: (a, b) => a.dataset.id.localeCompare(b.dataset.id, undefined, { numeric: true }),
    };
    for (const button of kinds) {
      button.addEventListener("click", () => {
        kind = button.dataset.kind;
        for (const each of kinds) each.setAttribute("aria-pressed", String(each === button));
        show();
      });
    }
    for (const each of document.querySelectorAll(".scripted")) each.hidden = false;
    for (const chip of document.querySelectorAll("button.chip")) {
      chip.disabled = false;
      chip.addEventListener("click", () => {
        find.value = whole = chip.dataset.word;
        show();
        list.parentElement.scrollIntoView();
        find.focus({ preventScroll: true });
      });
    }
    find.addEventListener("input", show);
    order.addEventListener("change", () => list.append(...[...items].sort(orders[order.value])));
    tools.hidden = false;
    show();
  }
}
