// What goes to the server and what comes from it. All addresses are relative: the token is part of the page's own address.

export async function send(command) {
  const answer = await fetch("command", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(command),
  });
  if (answer.status === 202 || answer.status === 503) return; // 503: the process has ended, which its own event tells
  throw new Error(`${answer.status}: ${await answer.text()}`);
}

// handlers: by kind of event, what to do with its value; "gone" when the server does not answer.
export function listen(handlers) {
  const source = new EventSource("events");
  const kinds = ["scenes", "schema", "state", "run", "history", "rows", "frame", "truth", "problem", "busy", "process",
    "plane", "path", "images", "decoded", "about", "diagnosis"];
  for (const kind of kinds) {
    source.addEventListener(kind, (event) => handlers[kind]?.(JSON.parse(event.data)));
  }
  source.onerror = () => handlers.gone?.();
}

// Colours come as bytes in base64.
export function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
