// The report's script: the theme button and the problem explorer. No library, no network.
//
// Every text of a problem was written by a model or a user, so texts enter the page as text nodes only (`el`).
// The data's shape is documented in stories.py. Faults are put into <html data-errors> for tests to see.
"use strict";
(() => {
  const root = document.documentElement;
  const fault = (said) => {
    root.dataset.errors = root.dataset.errors ? `${root.dataset.errors} | ${said}` : said;
  };
  addEventListener("error", (event) => fault(event.message));
  addEventListener("unhandledrejection", (event) => fault(String(event.reason)));
  addEventListener("securitypolicyviolation", (event) => fault(`blocked by policy: ${event.violatedDirective}`));

  // --- theme ---------------------------------------------------------------------------------------------

  const remembered = () => {
    try {
      return localStorage.getItem("docendo-theme");
    } catch {
      return null; // a browser that gives local files no storage
    }
  };
  const asked = new URLSearchParams(location.search).get("theme") ?? remembered();
  if (asked === "dark" || asked === "light") root.dataset.theme = asked;

  const startTheme = () => {
    const button = document.getElementById("theme");
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const now = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
    const other = () => (now() === "dark" ? "light" : "dark");
    const name = () => {
      button.textContent = other() === "dark" ? "Dark" : "Light";
      button.setAttribute("aria-label", `Use ${other()} colours`);
    };
    button.addEventListener("click", () => {
      root.dataset.theme = other();
      try {
        localStorage.setItem("docendo-theme", root.dataset.theme);
      } catch {
        // then only until the page is closed
      }
      name();
    });
    dark.addEventListener("change", name);
    name();
    button.hidden = false;
  };

  // --- building elements ---------------------------------------------------------------------------------

  const el = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (value !== null && value !== undefined) element.setAttribute(key, value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined) element.append(child); // strings become text nodes
    }
    return element;
  };

  const MARKS = [
    ["right", "✓", "right"],
    ["wrong", "✗", "wrong"],
    ["none", "·", "not judged"],
    ["lost", "?", "no readable answer"],
    ["lost", "✂", "truncated"],
    ["lost", "!", "failed"],
  ];
  const [RIGHT, WRONG, NONE] = [0, 1, 2];
  const RULES = [
    ["greedy", "greedy", () => "one answer at temperature 0"],
    ["maj", "SC", (w, p) => `${w} of ${p.n} samples`],
    ["sc_undebugged", "SC, undebugged", (w, p) => `${w} of ${p.n} samples, before revisions`],
    ["sc_equal_cost", "SC, equal cost", (w, p) => `${w} of ${p.n + p.e} samples`],
    ["max", "MAX", (w) => `highest score ${number(w)}`],
    ["sum", "SUM", (w) => `sum of scores ${number(w)}`],
    ["avg", "AVG", (w) => `mean score ${number(w)}`],
  ];
  const number = (value) => (value === null ? "–" : value.toFixed(2));
  const plural = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;
  const mark = (index) => {
    const [kind, sign, name] = MARKS[index];
    return el("span", { class: `verdict ${kind}` }, el("span", { "aria-hidden": "true" }, `${sign} `), name);
  };
  const sign = (index) => {
    const [kind, char, name] = MARKS[index];
    return el("span", { class: `sign ${kind}`, role: "img", "aria-label": name, title: name }, char);
  };
  const bar = (value, name) => {
    const fill = el("span", { class: "fill" });
    fill.style.width = `${100 * (value ?? 0)}%`;
    return el("span", { class: "track", title: name ? `${name}: ${number(value)}` : null }, fill);
  };
  const score = (value, name) =>
    el(
      "span",
      { class: "score", title: `LbT score${name ? ` with ${name}` : ""}` },
      bar(value),
      el("span", { class: "value" }, number(value)),
      name ? el("span", { class: "who" }, name) : null,
    );
  const LONG = 700;
  const written = (text) => {
    const body = el("div", { class: "text", dir: "auto" }, text.trim() || "(nothing)");
    if (text.length <= LONG) return body;
    const head = `${text.slice(0, 120).trim()} … (${text.length.toLocaleString("en")} characters)`;
    return el("details", { class: "long" }, el("summary", { dir: "auto" }, head), body);
  };
  // What is inside is made when it is first opened: a page has tens of thousands of workings.
  const lazy = (attributes, summary, make) => {
    const details = el("details", attributes, summary);
    details.addEventListener("toggle", () => details.append(make()), { once: true });
    return details;
  };

  // --- one problem's story -------------------------------------------------------------------------------

  const startExplorer = (data) => {
    const { strings, students, groups, problems } = data;
    const text = (i) => (i < 0 ? null : strings[i]);
    const answer = (i) => (i < 0 ? el("i", {}, "none") : el("b", { dir: "auto" }, text(i)));

    const anchor = (i) => `problem-${encodeURIComponent(problems[i].id).replaceAll("%2F", "/")}`;
    const anchors = new Map(problems.map((_, i) => [anchor(i), i]));
    const ids = new Map(problems.map((p, i) => [p.id, i]));
    const asked = () => {
      const given = location.hash.slice(1);
      if (anchors.has(given)) return anchors.get(given);
      try {
        const id = decodeURIComponent(given).replace(/^problem-/, "");
        return ids.get(id) ?? null;
      } catch {
        return null; // not a proper address
      }
    };

    const rulesTable = (p) =>
      el(
        "div",
        { class: "wide", tabindex: "0", role: "region", "aria-label": "What each rule chose" },
        el(
          "table",
          { class: "rules" },
          el("caption", {}, "What was chosen"),
          el("thead", {}, el("tr", {}, ["Rule", "Answer", "", "Won by"].map((name) => el("th", { scope: "col" }, name)))),
          el("tbody", {}, RULES.filter(([rule]) => p.r[rule]).map(([rule, name, won]) => {
            const [chosen, judged, weight] = p.r[rule];
            return el(
              "tr",
              { "data-rule": rule },
              el("th", { scope: "row" }, name),
              el("td", {}, answer(chosen)),
              el("td", {}, chosen < 0 || judged === NONE ? null : mark(judged)),
              el("td", { class: "note" }, chosen < 0 ? "no readable answer" : won(weight, p)),
            );
          })),
        ),
      );

    const rightOf = (rows) => `${rows.filter((row) => row[3] === RIGHT).length} of ${rows.length} right`;
    const workingOf = ([, , repeat, judged, said, read]) =>
      el(
        "li",
        {},
        el(
          "div",
          { class: "head" },
          mark(judged),
          el("span", { class: "note" }, `repeat ${repeat + 1}`, read < 0 ? null : [", read as ", answer(read)]),
        ),
        said < 0 ? null : written(text(said)),
      );
    const examOf = (p, lesson) => {
      const seats = new Map();
      for (const row of lesson.e) seats.set(row[0], [...(seats.get(row[0]) ?? []), row]);
      return [...seats].map(([x, rows]) => {
        return el(
          "section",
          { class: "exam" },
          el("h6", {}, `Exam problem ${x + 1}`, el("span", { class: "note" }, rightOf(rows))),
          el("p", { class: "question", dir: "auto" }, text(p.x[x][0])),
          el("p", { class: "note" }, "Gold answer ", answer(p.x[x][1])),
          students.map((name, student) => {
            const own = rows.filter((row) => row[1] === student);
            if (own.length === 0) return null;
            const who = students.length > 1 ? el("p", { class: "note who" }, `${name}: ${rightOf(own)}`) : null;
            return [who, el("ol", { class: "workings" }, own.map(workingOf))];
          }),
        );
      });
    };

    const lessonOf = (p, lesson) => {
      const head = el(
        "summary",
        {},
        score(lesson.p),
        students.length > 1 ? el("span", { class: "each" }, lesson.b.map((own, i) => bar(own, students[i]))) : null,
        el("span", { class: "times", title: plural(lesson.c, "sample") }, `×${lesson.c}`),
        el("span", { class: "first", dir: "auto" }, lesson.w < 0 ? "" : text(lesson.w).trim().slice(0, 300) || "(no working)"),
      );
      return lazy({ class: "lesson" }, head, () => {
        const shown = [el("p", { class: "note" }, `Written by ${plural(lesson.c, "sample")}.`)];
        if (lesson.w >= 0) shown.push(written(text(lesson.w)));
        shown.push(el("p", {}, "Answer: ", answer(lesson.s)));
        if (students.length > 1) {
          shown.push(el("p", { class: "by" }, students.map((name, i) => score(lesson.b[i], name))));
        }
        return el("div", { class: "inside" }, shown, examOf(p, lesson));
      });
    };

    const groupOf = (p, group) => {
      const by = RULES.filter(([rule]) => p.r[rule] && p.r[rule][0] >= 0 && p.r[rule][0] === group.a);
      return el(
        "section",
        { class: "answer" },
        el(
          "h5",
          {},
          "Answer ",
          answer(group.a),
          " ",
          group.m === NONE ? null : mark(group.m),
          by.map(([rule, name]) => el("span", { class: `chip ${rule}` }, name)),
        ),
        el(
          "p",
          { class: "note" },
          `${group.c} of ${plural(p.n, "sample")}, ${plural(group.l.length, "lesson")}; LbT scores: `,
          `sum ${number(group.t)}, mean ${number(group.v)}, highest ${number(group.h)}`,
        ),
        group.l.map((lesson) => lessonOf(p, lesson)),
      );
    };

    const without = (p) =>
      p.u.length === 0
        ? null
        : el(
            "section",
            { class: "answer" },
            el("h5", {}, "No answer"),
            el("p", { class: "note" }, `${plural(p.u.length, "sample")} that became no lesson and had no vote`),
            p.u.map(([judged, said]) =>
              lazy({ class: "lesson" }, el("summary", {}, mark(judged)), () =>
                el("div", { class: "inside" }, said < 0 ? "no text was kept" : written(text(said))),
              ),
            ),
          );

    const greedy = (p) =>
      p.y === null || p.y[1] < 0
        ? null
        : lazy({ class: "lesson greedy" }, el("summary", {}, "The greedy sample ", mark(p.y[0])), () =>
            el("div", { class: "inside" }, written(text(p.y[1]))),
          );

    const run = document.querySelector(".eyebrow b").textContent;
    const story = document.getElementById("story");
    const tell = (i) => {
      const p = problems[i];
      const at = found.indexOf(i);
      const step = (to, name) =>
        to === undefined ? null : el("a", { href: `#${anchor(to)}`, rel: name.toLowerCase() }, name);
      story.replaceChildren(
        el(
          "header",
          {},
          el("h3", { tabindex: "-1", "data-problem": p.id }, p.id),
          el(
            "nav",
            { "aria-label": "Other problems" },
            at < 0 ? null : [step(found[at - 1], "Previous"), step(found[at + 1], "Next")],
            el("a", { href: "#problems", class: "back" }, "List"),
          ),
        ),
        p.g < 0 ? "" : el("p", { class: "note" }, `Group ${groups[p.g]}`),
        el("p", { class: "question", dir: "auto" }, text(p.q)),
        el("p", {}, p.a < 0 ? "No gold answer is known." : ["Gold answer ", answer(p.a)]),
        rulesTable(p),
        el("h4", {}, "Answers and their lessons"),
        p.text
          ? ""
          : el(
              "p",
              { class: "notice" },
              "The workings of this problem were left out to keep the page small. All of it: ",
              el("code", {}, `docendo show ${run} ${p.id}`),
            ),
        ...p.k.map((group) => groupOf(p, group)),
        without(p) ?? "",
        greedy(p) ?? "",
      );
    };

    // --- the list ------------------------------------------------------------------------------------------

    const judged = (p, rule) => p.r[rule]?.[1];
    const key = (p, rule) => p.k.find((g) => g.a === p.r[rule]?.[0]);
    const OUTCOMES = [
      ["all", () => true],
      ["SUM right, SC wrong", (p) => judged(p, "sum") === RIGHT && judged(p, "maj") === WRONG],
      ["SC right, SUM wrong", (p) => judged(p, "maj") === RIGHT && judged(p, "sum") === WRONG],
      ["both wrong", (p) => judged(p, "sum") === WRONG && judged(p, "maj") === WRONG],
      ["SUM and SC differ", (p) => key(p, "sum") !== key(p, "maj")],
      ["no answer", (p) => !p.r.sum || p.r.sum[0] < 0],
    ];
    const list = document.getElementById("list");
    const outcome = document.getElementById("outcome");
    const group = document.getElementById("group");
    const find = document.getElementById("find");
    const shown = document.getElementById("shown");
    const STEP = 300;
    let found = problems.map((_, i) => i);
    let current = null;

    const item = (i) => {
      const p = problems[i];
      const sides = [["SC", "maj"], ["SUM", "sum"]].map(([name, rule]) => {
        const [chosen, verdict] = p.r[rule] ?? [-1, NONE];
        const said = chosen < 0 ? sign(3) : verdict === NONE ? text(chosen) : sign(verdict);
        return el("span", { class: "side" }, `${name} `, said);
      });
      const link = el(
        "a",
        { href: `#${anchor(i)}`, "aria-current": i === current ? "true" : null },
        el("span", { class: "asked", dir: "auto" }, text(p.q).slice(0, 400)),
        el("span", { class: "note" }, sides, el("span", { class: "id" }, p.id)),
      );
      link.dataset.index = i;
      return el("li", {}, link);
    };
    const fill = (from) => {
      const rest = found.length - from - STEP;
      list.append(...found.slice(from, from + STEP).map(item));
      if (rest <= 0) return;
      const more = el("button", { type: "button" }, `Show ${Math.min(rest, STEP)} more`);
      const row = el("li", { class: "rest" }, more);
      more.addEventListener("click", () => {
        row.remove();
        fill(from + STEP);
      });
      list.append(row);
    };
    const haystack = problems.map(() => null);
    const words = (i) => {
      const p = problems[i];
      haystack[i] ??= [p.id, text(p.q), text(p.a) ?? "", ...p.k.map((g) => text(g.a) ?? "")].join("\n").toLowerCase();
      return haystack[i];
    };
    const sift = () => {
      const [, test] = OUTCOMES[Number(outcome.value)];
      const sought = find.value.trim().toLowerCase();
      found = problems.flatMap((p, i) =>
        test(p) && (group.value === "" || p.g === Number(group.value)) && words(i).includes(sought) ? [i] : [],
      );
      shown.textContent = `${found.length.toLocaleString("en")} of ${plural(problems.length, "problem")}`;
      list.replaceChildren();
      fill(0);
      if (found.length === 0) list.append(el("li", { class: "note" }, "No problem is like that."));
      if (current !== null) tell(current); // its neighbours are others now
    };
    const open = (i) => {
      current = i;
      tell(i);
      const box = list.parentElement;
      for (const link of list.querySelectorAll("a")) {
        link.removeAttribute("aria-current");
        if (Number(link.dataset.index) !== i) continue;
        link.setAttribute("aria-current", "true");
        const [place, around] = [link.getBoundingClientRect(), box.getBoundingClientRect()];
        const out = place.top < around.top || place.bottom > around.bottom;
        if (out) box.scrollTop += place.top - around.top - box.clientHeight / 3; // the box, and not the page
      }
    };
    const follow = () => {
      const i = asked();
      if (i === null) return;
      open(i);
      story.scrollIntoView({ block: "start" });
      story.querySelector("h3").focus({ preventScroll: true });
    };

    OUTCOMES.forEach(([name, test], i) => {
      const n = problems.filter(test).length;
      outcome.append(el("option", { value: i, disabled: n === 0 && i > 0 ? "" : null }, `${name} (${n})`));
    });
    group.append(el("option", { value: "" }, "all"), ...groups.map((name, i) => el("option", { value: i }, name)));
    document.getElementById("group-label").hidden = groups.length < 2;
    outcome.addEventListener("change", sift);
    group.addEventListener("change", sift);
    find.addEventListener("input", sift);
    document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
    addEventListener("hashchange", follow);
    document.getElementById("filters").hidden = false;
    document.getElementById("explorer").hidden = false;
    sift();
    if (asked() === null) open(0);
    else follow();
  };

  addEventListener("DOMContentLoaded", () => {
    startTheme();
    const data = document.getElementById("data");
    if (data !== null) startExplorer(JSON.parse(data.textContent));
    root.dataset.ready = "true";
  });
})();
