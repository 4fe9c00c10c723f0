// Before the first paint: a theme that was chosen holds over the system's.
try {
  var theme = localStorage.getItem("pullwright.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch (error) {
  // no storage: the system's theme holds
}
