// Keeps the page up to date: what is marked data-live is fetched again and put in
// place of what is there, and times that count are counted. Without it the page
// says the same, as of when it was loaded.
"use strict";
(() => {
	const every = 2000, atMost = 30000;
	const body = document.body, line = document.getElementById("live"), said = document.getElementById("said");
	let ahead = Number(body.dataset.now) - Date.now(); // of the server's clock
	let paused = false, timer = 0, current = null;

	// span is as the server says it.
	const two = (n) => String(n).padStart(2, "0");
	function span(ms) {
		const s = Math.ceil(ms / 1000);
		if (s <= 0) return "0s";
		if (s < 60) return s + "s";
		if (s < 3600) return Math.floor(s / 60) + "m " + two(s % 60) + "s";
		if (s < 48 * 3600) return Math.floor(s / 3600) + "h " + two(Math.floor(s / 60) % 60) + "m";
		return Math.floor(s / 86400) + "d " + Math.floor(s / 3600) % 24 + "h";
	}
	function count() {
		const now = Date.now() + ahead;
		for (const t of document.querySelectorAll("time[data-until]")) write(t, span(t.dataset.until - now));
		for (const t of document.querySelectorAll("time[data-since]")) write(t, span(now - t.dataset.since));
	}
	function write(node, text) {
		if (node.textContent !== text) node.textContent = text;
	}

	// As it came from the server, to see what has changed.
	const came = new Map();
	for (const part of document.querySelectorAll("[data-live]")) came.set(part.id, part.innerHTML);

	function take(fresh) {
		for (const part of document.querySelectorAll("[data-live]")) {
			const next = fresh.getElementById(part.id);
			if (!next || came.get(part.id) === next.innerHTML) continue;
			came.set(part.id, next.innerHTML);
			// Who goes through it with the keyboard stays where they are.
			const at = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
			part.replaceChildren(...document.adoptNode(next).childNodes);
			if (at) for (const a of part.querySelectorAll("a")) if (a.getAttribute("href") === at) { a.focus({ preventScroll: true }); break; }
		}
		const stamp = fresh.querySelector("#live time"), here = line.querySelector("time");
		if (stamp) { here.dateTime = stamp.dateTime; write(here, stamp.textContent); }
	}

	// Aloud is said only what changes what there is to do.
	const urgent = () => ["needs-action", "cool-down"].map((c) => document.querySelector("#conditions a." + c + " b")?.textContent || "0");
	function tell(before) {
		const now = urgent();
		if (!document.getElementById("conditions") || String(before) === String(now)) return;
		write(said, `${now[0]} hosts need action, ${now[1]} are in a cool-down.`);
	}

	function later(ms) {
		clearTimeout(timer);
		if (!paused) timer = setTimeout(refresh, ms);
	}
	function refresh() {
		if (document.hidden || busy()) return later(every);
		const begin = Date.now(), x = current = new XMLHttpRequest();
		x.open("GET", location.href);
		x.responseType = "document"; // parsed, but none of it is run
		x.timeout = atMost;
		x.onloadend = () => {
			if (current !== x || paused) return;
			const fresh = x.response, took = Date.now() - begin;
			const fits = x.status === 200 && fresh && fresh.body && fresh.body.dataset.page === body.dataset.page;
			if (line.classList.toggle("late", !fits)) write(said, "The server does not answer. The page is no longer up to date.");
			if (fits && !busy()) {
				ahead = Number(fresh.body.dataset.now) - Date.now();
				const before = urgent();
				take(fresh);
				tell(before);
				count();
			}
			later(fits ? Math.max(every, 10 * took) : 5 * every);
		};
		x.send();
	}

	// Nothing is moved from under a pressed button or a selection.
	let pressed = false;
	addEventListener("pointerdown", () => { pressed = true; });
	for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { pressed = false; });
	const busy = () => pressed || !(getSelection() || { isCollapsed: true }).isCollapsed;

	const button = document.createElement("button");
	button.type = "button";
	button.textContent = "Pause";
	button.setAttribute("aria-pressed", "false");
	button.addEventListener("click", () => {
		paused = !paused;
		button.setAttribute("aria-pressed", String(paused));
		paused ? clearTimeout(timer) : refresh();
	});
	if (document.querySelector("[data-live]")) {
		line.append(button);
		later(every);
	}

	// What was done is told once, not again when the page is loaded again.
	const url = new URL(location.href);
	if (url.searchParams.has("did")) {
		url.searchParams.delete("did");
		url.searchParams.delete("n");
		history.replaceState(null, "", url);
	}
	addEventListener("visibilitychange", () => { if (!document.hidden) later(0); });
	setInterval(count, 1000);
	count();
})();
