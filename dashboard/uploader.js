// One file, sent in parts. The server says where to go on, so that a part that was lost is sent again and nothing else is.

const TRIES = 6;
const under_way = new WeakMap();

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const { texts } = data;
  const find = (selector) => parentElement.querySelector(selector);
  const field = find(".field"), chooser = find("input");
  find(".hint").textContent = texts.hint.replace("{most}", data.most);
  find(".choose span").textContent = texts.choose;
  chooser.accept = data.endings.join(",");
  find("button").textContent = texts.stop;
  find(".bar").setAttribute("aria-label", texts.choose);

  const say = (text) => { find(".problem").textContent = text; find(".problem").hidden = !text; };
  const megabytes = (bytes) => `${(bytes / 1e6).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} MB`;
  const show = (file, sent) => {
    const share = Math.floor((100 * sent) / file.size);
    find(".name").textContent = file.name;
    find(".amount").textContent = texts.amount
      .replace("{sent}", megabytes(sent)).replace("{size}", megabytes(file.size)).replace("{share}", share);
    find(".bar i").style.width = `${share}%`;
    find(".bar").setAttribute("aria-valuenow", share);
  };

  const call = (method, address, body, headers, file, at) => new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const job = under_way.get(field);
    job.request = request;
    request.open(method, address);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    if (file) request.upload.onprogress = (event) => show(file, Math.min(at + event.loaded, file.size));
    request.onloadend = () => {
      let told = {};
      try { told = JSON.parse(request.responseText); } catch { /* what answered is no page of ours */ }
      resolve({ status: request.status, told });
    };
    request.send(body);
  });

  const begin = (file) => call("POST", data.address,
    JSON.stringify({ file_name: file.name.normalize("NFC"), size_bytes: file.size, modified: file.lastModified }),
    { "Content-Type": "application/json" });

  const send = async (file) => {
    const job = { stopped: false };
    under_way.set(field, job);
    say("");
    setStateValue("refused", null);
    find(".sending").hidden = false;
    find(".choose").hidden = true;
    show(file, 0);
    let failures = 0, upload = null, place = 0;
    while (!job.stopped) {
      const { status, told } = upload === null
        ? await begin(file)
        : await call("PATCH", `${data.address}/${upload}`, file.slice(place, place + data.part_bytes),
            { "Content-Type": "application/octet-stream", "Upload-Offset": String(place) }, file, place);
      if (job.stopped) break;
      if (status === 200) {
        ({ upload_id: upload, received_bytes: place } = told);
        failures = 0;
        show(file, Math.min(place, file.size));
        if (place >= file.size) { setStateValue("upload", upload); break; }
      } else if (status === 401) { say(texts.logged_out); break;
      } else if ([0, 409, 502, 503, 504].includes(status) && ++failures < TRIES) {
        upload = null; // ask where to go on
        find(".amount").textContent = texts.waits;
        await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** failures));
      } else if (told.what) { setStateValue("refused", told); break;
      } else { say(texts.lost); break; }
    }
    if (job.stopped) say(texts.stopped);
    find(".sending").hidden = true;
    find(".choose").hidden = false;
    chooser.value = "";
    under_way.delete(field);
  };

  const take = (file) => {
    if (!file || under_way.has(field)) return;
    const name = file.name.toLowerCase();
    if (!data.endings.some((ending) => name.endsWith(ending))) say(texts.format.replace("{name}", file.name));
    else if (file.size === 0) say(texts.empty.replace("{name}", file.name));
    else if (file.size > data.most_bytes)
      say(texts.too_large.replace("{name}", file.name).replace("{size}", megabytes(file.size)).replace("{most}", data.most));
    else send(file);
  };

  chooser.onchange = () => take(chooser.files[0]);
  field.ondragover = (event) => { event.preventDefault(); field.classList.add("over"); };
  field.ondragleave = () => field.classList.remove("over");
  field.ondrop = (event) => { event.preventDefault(); field.classList.remove("over"); take(event.dataTransfer.files[0]); };
  find("button").onclick = () => {
    const job = under_way.get(field);
    if (job) { job.stopped = true; job.request?.abort(); }
  };
}
