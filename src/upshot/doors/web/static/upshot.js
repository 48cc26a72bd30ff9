{ // Upshot: evaluated flags by OFREP, events in Segment's shape
const {src, dataset} = document.currentScript;
const instance = crypto.getRandomValues(new Uint32Array(4)).join("-");
let key, url, context, item, busy, done, id = instance, asked = 0, seq = 0,
	state = {flags: [], queue: [], seen: [], etag: ""};

// other tabs write too; where storage is blocked, memory has it
const load = () => {
	try { state = JSON.parse(localStorage[item]); } catch {}
	return state;
};
const save = change => {
	Object.assign(load(), change);
	try { localStorage[item] = JSON.stringify(state); } catch {}
};

const refresh = async () => {
	const turn = ++asked;
	try {
		const reply = await fetch(url + "/ofrep/v1/evaluate/flags", {
			method: "POST",
			headers: {"X-API-Key": key, "If-None-Match": state.etag},
			body: JSON.stringify({context: {...context, targetingKey: id, anonymousId: id, userId: state.user}}),
		});
		if (reply.ok && turn == asked) save({...await reply.json(), etag: reply.headers.get("ETag")});
	} catch {}
	done();
	flush();
};

// kept until the server answers, which drops repeats
const flush = async leaving => {
	const body = JSON.stringify({batch: state.queue.slice(0, 15), sentAt: new Date(), writeKey: key});
	if (!state.queue[0] || leaving && navigator.sendBeacon(url + "/v1/batch", body) || busy) return;
	busy = 1;
	const {status} = await fetch(url + "/v1/batch", {method: "POST", body}).catch(() => 0);
	busy = 0;
	if (![200, 413].includes(status)) return;
	save({queue: load().queue.filter(m => !body.includes(m.messageId))});
	flush();
};
const send = async (type, event, properties) => {
	save({queue: [...load().queue, {
		type, event, properties, anonymousId: id, userId: state.user, timestamp: new Date(),
		messageId: instance + "-" + ++seq, context: {library: {name: "upshot.js"}, instance, seq},
	}].slice(-200)});
	flush();
};
const meet = name => {
	const flag = state.flags.find(f => f.key == name) ?? {}, {variant, metadata: m = {}} = flag;
	const met = [m.experiment_id, m.phase, variant, m.unit_id] + "";
	if (m.experiment_id && !load().seen.includes(met)) {
		save({seen: [...state.seen, met]});
		send("track", "Experiment Viewed", {...m, variant});
	}
	return flag;
};

window.upshot = {
	ready: new Promise(f => done = f),
	async start(options) {
		({key, context, url = src.split("/upshot.js")[0]} = options);
		setTimeout(done, 2e3);
		try {
			const kept = /\bupshot_id=([^;]+)/.exec(document.cookie);
			if (kept) id = kept[1];
			else document.cookie = `upshot_id=${id};Path=/;Max-Age=31536000;SameSite=Lax${origin < "https" ? "" : ";Secure"}`;
		} catch {}
		item = "upshot" + key + id;
		if (load().etag) done();
		refresh();
	},
	value: (name, fallback) => meet(name).value ?? fallback,
	variant: name => meet(name).variant,
	track: send.bind(0, "track"),
	async identify(user) {
		if (user == state.user) return;
		save({user});
		send("identify");
		refresh();
	},
};
document.addEventListener("visibilitychange", () => document.hidden ? flush(true) : key && refresh());
if (dataset.key) upshot.start(dataset);
}
