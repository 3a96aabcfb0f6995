"use strict";
// Search and filters. Without this script the page shows everything but the later rows of a long list.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const texts = data.rows.map((row) => row.join("\n").toLowerCase());
  const body = document.getElementById("rows"), found = document.getElementById("found");
  const more = document.getElementById("more"), search = document.getElementById("search");
  const chips = [...document.querySelectorAll(".counts button")];
  const cards = [...document.querySelectorAll("details.cause[data-verdict]")];
  const step = 100;
  let shown = step, verdict = "", cause = -1;

  const cell = (text, name) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };

  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text) => words.every((word) => text.includes(word));
    const hits = [];
    data.rows.forEach((row, at) => {
      if ((!verdict || row[0] === verdict) && (cause < 0 || data.causes[at] === cause) && fits(texts[at])) hits.push(row);
    });
    body.replaceChildren(...hits.slice(0, shown).map((row) => {
      const line = document.createElement("tr");
      line.append(cell(row[0], row[0]), ...row.slice(1).map((text) => cell(text)));
      return line;
    }));
    const few = Math.min(shown, hits.length), all = hits.length.toLocaleString("en");
    const rest = data.total > data.rows.length ? `; ${(data.total - data.rows.length).toLocaleString("en")} more are only in the JSON report` : "";
    found.textContent = `${few.toLocaleString("en")} of ${all} matching runs, ${data.total.toLocaleString("en")} in all${rest}`;
    more.hidden = hits.length <= shown;
    const hitCauses = new Set(words.length ? data.causes.filter((_, at) => fits(texts[at])) : []);
    cards.forEach((card) => {
      const number = Number(card.dataset.cause);
      const matches = !words.length || hitCauses.has(number) || fits(card.textContent.toLowerCase());
      card.hidden = (verdict && card.dataset.verdict !== verdict) || (cause >= 0 && number !== cause) || !matches;
    });
  };

  const restart = () => { shown = step; draw(); };
  chips.forEach((chip) => chip.addEventListener("click", () => {
    verdict = verdict === chip.value ? "" : chip.value;
    cause = -1;
    chips.forEach((one) => one.setAttribute("aria-pressed", String(one.value === verdict)));
    restart();
  }));
  document.querySelectorAll("button.only").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      cause = cause === Number(button.value) ? -1 : Number(button.value);
      restart();
      (cause < 0 ? button : document.getElementById("runs")).scrollIntoView();
    });
  });
  search.addEventListener("input", restart);
  more.addEventListener("click", () => { shown += 5 * step; draw(); });
  document.getElementById("filters").hidden = false;
  draw();
})();
