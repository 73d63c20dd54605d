// The shell's script: the app draws itself into an empty page, where no server has written one.
export {};

const { build } = document.documentElement.dataset;
const root = document.documentElement;
root.classList.add("js");
try {
  const theme = localStorage.getItem("tickcast-theme");
  if (theme === "light" || theme === "dark") root.dataset["theme"] = theme;
} catch {
  // The theme is the system's.
}

const of = (path: string): string => `${path}?b=${build}`;
void import(of("/offline/page.js"));
const app = await import(of("/pkg/frontend.js"));
await app.default({ module_or_path: of("/pkg/frontend_bg.wasm") });
app.mount();
