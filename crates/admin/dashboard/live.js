// The stream of events, and whether it is there. It ends by itself every minute, and is asked for again.

/** How long it may be away before that is said. */
const GRACE = 2500;
/** Pauses between attempts after a refusal, which browsers do not repeat by themselves. */
const PAUSES = [1000, 2000, 5000, 10_000, 20_000];

/**
 * Follows what happens. `on.transition`, `on.view` and `on.change` get what came, `on.lost` is called when something was missed,
 * and `on.state` with whether the stream is there.
 */
export function follow(path, on) {
  let source = null;
  let failures = 0;
  let grace = null;
  let wasLost = false;

  const away = () => {
    grace ??= setTimeout(() => {
      wasLost = true;
      on.state(false);
    }, GRACE);
  };

  const open = () => {
    source = new EventSource(path);
    source.onopen = () => {
      clearTimeout(grace);
      grace = null;
      failures = 0;
      on.state(true);
      // The server may be another one by now.
      if (wasLost) on.lost();
      wasLost = false;
    };
    source.onerror = () => {
      away();
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(open, PAUSES[Math.min(failures, PAUSES.length - 1)]);
      failures += 1;
    };
    for (const name of ["transition", "view", "change"]) {
      source.addEventListener(name, (event) => on[name](JSON.parse(event.data)));
    }
    source.addEventListener("lost", () => on.lost());
  };

  open();
  away();
}
