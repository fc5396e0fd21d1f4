// Look once more where a script is lost on the way: a page without it would stay empty, and say nothing.

const AGAIN_MILLISECONDS = 1000;

addEventListener("error", ({ target }) => {
  if (target instanceof HTMLScriptElement) setTimeout(() => location.reload(), AGAIN_MILLISECONDS);
}, { capture: true });
