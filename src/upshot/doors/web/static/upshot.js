{ // flags by OFREP, events in Segment's shape
const {src, dataset} = document.currentScript;
const tab = crypto.getRandomValues(new Uint32Array(4)).join("-");
let key, url, context, item, busy, done, id = tab, seq = 0, store = {}, state = {flags: [], etag: ""};

try { store = localStorage; } catch {} // or memory
const put = (name, value) => {
	const text = JSON.stringify(value);
	try { store[name] = text; } catch { store = {...store, [name]: text}; }
};

const refresh = async () => {
	const {user} = state;
	try {
		const res = await fetch(url + "/ofrep/v1/evaluate/flags", {
			method: "POST", headers: {"X-API-Key": key, "If-None-Match": state.etag},
			body: JSON.stringify({context: {...context, targetingKey: id, anonymousId: id, userId: user}}),
		});
		const etag = res.headers.get("ETag"), fresh = await res.json();
		if (res.ok && user == state.user) put(item + id, state = {...state, ...fresh, etag});
	} catch {}
	done();
	flush();
};

// kept until answered; the server drops repeats
const queue = () => Object.keys(store).filter(n => n.startsWith(item + "!"));
const flush = async last => {
	const list = queue().slice(0, 15), to = url + "/v1/batch";
	const body = `{"batch":[${list.map(n => store[n])}],"sentAt":"${new Date().toJSON()}","writeKey":"${key}"}`;
	if (!list[0] || last && navigator.sendBeacon(to, body) || busy) return;
	busy = 1;
	const {status} = await fetch(to, {method: "POST", body}).catch(() => 0);
	busy = 0;
	if (![200, 400, 413].includes(status)) return;
	list.forEach(n => delete store[n]);
	flush();
};
const send = async (type, event, properties) => {
	if (!queue()[199]) put(item + "!" + ++seq + tab, {
		type, event, properties, anonymousId: id, userId: state.user, timestamp: new Date(),
		messageId: tab + seq, context: {library: {name: "upshot.js"}, instance: tab, seq},
	});
	flush();
};
const meet = name => {
	const flag = state.flags.find(f => f.key == name) ?? {}, {variant, metadata: m = {}} = flag;
	const met = item + [m.experiment_id, m.phase, variant, m.unit_id];
	if (m.experiment_id && !store[met] && !queue()[199]) {
		put(met, 1);
		send("track", "Experiment Viewed", {...m, variant});
	}
	return flag;
};

var upshot = {
	ready: new Promise(f => done = f),
	async start(options) {
		({key, context, url = src.split("/upshot.js")[0]} = options);
		item = "upshot" + key;
		setTimeout(done, 2e3);
		try {
			const kept = /\bupshot_id=([^;]+)/.exec(document.cookie);
			if (kept) id = kept[1];
			else document.cookie = `upshot_id=${id};Path=/;Max-Age=31536000;SameSite=Lax${origin < "https" ? "" : ";Secure"}`;
			state = JSON.parse(store[item + id]);
			if (state.etag) done();
		} catch {}
		refresh();
	},
	value: (name, other) => meet(name).value ?? other,
	variant: name => meet(name).variant,
	track: send.bind(0, "track"),
	async identify(user) {
		if (user == state.user) return;
		put(item + id, state = {...state, user});
		send("identify");
		refresh();
	},
};
addEventListener("visibilitychange", () => document.hidden ? flush(true) : key && refresh());
if (dataset.key) upshot.start(dataset);
}
