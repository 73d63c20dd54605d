// Offers the installation where the browser can install, and says how it is done where it must be done by hand.

/** Chromium's event (https://wicg.github.io/manifest-incubations/#beforeinstallpromptevent-interface). */
interface InstallEvent extends Event {
  prompt(): Promise<{ outcome: string }>;
}

declare global {
  interface Window {
    /** Put there by the page's first script: the event comes before this script does. */
    installEvent?: InstallEvent;
  }
  interface Navigator {
    /** Safari's on iOS. */
    standalone?: boolean;
  }
}

const DISMISSED = "tickcast-install-dismissed";

type Say = (where: HTMLElement, text: string) => void;

function button(text: string, testId: string, act: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.dataset["testid"] = testId;
  made.onclick = act;
  return made;
}

export function offerInstallation(where: HTMLElement, say: Say): void {
  const dismiss = () => {
    localStorage.setItem(DISMISSED, "1");
    say(where, "");
  };
  const installed = matchMedia("(display-mode: standalone)").matches || navigator.standalone === true;
  if (installed || localStorage.getItem(DISMISSED)) return;
  const show = (event: InstallEvent) => {
    say(where, "Tickcast opens without a network when it is installed. ");
    const install = () => void event.prompt().then(({ outcome }) => outcome === "accepted" && say(where, ""));
    where.append(button("Install", "install", install), button("Not now", "install-dismiss", dismiss));
  };
  if (window.installEvent) show(window.installEvent);
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    show(event as InstallEvent);
  });
  addEventListener("appinstalled", () => say(where, ""));
  if (navigator.standalone === false) {
    say(where, "To install Tickcast: Share, then “Add to Home Screen”. ");
    where.append(button("Not now", "install-dismiss", dismiss));
  }
}
