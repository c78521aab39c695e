// Carries one question at a time from the map to the server ("who is this point?") and the answer back.
// A part of its own, so that the answer does not make the server send the map again.
const PATIENCE_MS = 3000, REST_MS = 60;

export default function (component) {
  const { parentElement, data } = component;
  let post = parentElement.lfPost;
  if (!post) {
    post = parentElement.lfPost = { wanted: null, asked: 0, timer: 0 };
    const ask = () => {
      post.timer = 0;
      if (!post.wanted) return;
      const left = post.asked + PATIENCE_MS - Date.now();
      if (post.asked && left > 0) { post.timer = setTimeout(ask, Math.min(left, 100)); return; }
      post.asked = Date.now();
      post.send("hover", post.wanted);
      post.wanted = null;
    };
    post.listen = (event) => {
      post.wanted = event.detail;
      if (!post.timer) post.timer = setTimeout(ask, REST_MS);
    };
    window.addEventListener("lf-face-wanted", post.listen);
  }
  post.send = component.setTriggerValue;
  if (data && data.answer) {
    post.asked = 0;
    window.dispatchEvent(new CustomEvent("lf-face-known", { detail: data.answer }));
  }
  return () => { window.removeEventListener("lf-face-wanted", post.listen); parentElement.lfPost = null; };
}
