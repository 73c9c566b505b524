"use strict";
/* How long ago a machine was last heard from, by the reader's clock: a pipeline that died shows itself. */
for (const time of document.querySelectorAll("time[data-late]")) {
  const hours = (Date.now() - Date.parse(time.dateTime)) / 3600000;
  if (Number.isNaN(hours)) continue;
  const ago = hours < 1 ? "less than an hour ago" : hours < 48 ? `${Math.round(hours)} hours ago` : `${Math.round(hours / 24)} days ago`;
  const late = hours > Number(time.dataset.late);
  time.after(` (${ago}${late ? ": silent for longer than a night" : ""})`);
  time.closest("li").classList.toggle("late", late);
}
