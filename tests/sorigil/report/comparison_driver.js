// What a person does on the page of a comparison, and sees then. The body of an async function (tests/browser.py).
const frame = await opened("comparison");
const page = frame.contentDocument, view = frame.contentWindow;
const find = page.getElementById("find"), order = page.getElementById("order");
const items = () => [...page.querySelectorAll("#changes > li")];
const visible = () => items().filter((item) => view.getComputedStyle(item).display !== "none").map((item) => item.dataset.id);
const click = (selector) => page.querySelector(selector).click();
const change = (field, value, kind) => { field.value = value; field.dispatchEvent(new view.Event(kind)); };
const shown = () => page.getElementById("shown").textContent;
const playable = (audio) => new Promise((told) => {
  audio.onloadedmetadata = () => told(audio.duration);
  audio.onerror = () => told(audio.error.message);
  audio.preload = "auto";
  audio.load();
});
const seen = {first: visible(), said: shown(), toolsHidden: page.querySelector(".tools").hidden};

seen.words = [...items()[0].querySelectorAll(".three-way .word:not(.head)")]
  .map((word) => [...word.children].map((row) => row.textContent));
seen.sounds = {};
for (const item of items()) {
  const audio = item.querySelector("audio");
  seen.sounds[item.dataset.id] = audio && await playable(audio);
}

click("button.kind[data-kind=worse]");
seen.worse = visible();
seen.pressed = page.querySelector("button.kind[aria-pressed=true]").textContent;
click("button.kind[data-kind='']");
change(find, "  ONE ", "input");
seen.containing = visible();
seen.saidContaining = shown();
change(find, "bob", "input");
seen.speaker = visible();
click("button.chip[data-word=one]");
seen.wholeWord = visible();
seen.found = find.value;
change(find, "", "input");
change(order, "id", "change");
seen.byId = visible();
change(order, "loss", "change");
seen.byLoss = visible();

const values = () => [...page.querySelectorAll("#slices details tbody tr")].map((row) => row.cells[1].innerText);
click("#slices summary");
const heading = [...page.querySelectorAll("#slices details th button")].find((each) => each.textContent === "utterances");
heading.click();
seen.slicesUp = values();
heading.click();
seen.slicesDown = values();

seen.hacked = [view.hacked, page.querySelectorAll("img").length, page.querySelectorAll("script").length];
seen.text = page.querySelector("main").textContent;

const narrow = await opened("comparison", {width: 400});
seen.narrow = narrow.contentDocument.documentElement.scrollWidth;

const quiet = (await opened("comparison", {scripts: false})).contentDocument;
seen.quiet = {
  items: [...quiet.querySelectorAll("#changes > li")].filter((item) => item.offsetHeight > 0).length,
  tools: quiet.querySelector(".tools").offsetHeight,
  offered: [...quiet.querySelectorAll("button, .scripted")].filter((each) => each.offsetHeight > 0 && !each.disabled).length,
  text: quiet.querySelector("main").textContent,
};
return seen;
