// @openfeature/ofrep-provider, unchanged: asks what the test tells it and prints the answers.
import {OFREPProvider} from "@openfeature/ofrep-provider";
import {OpenFeature} from "@openfeature/server-sdk";

const {url, keys, questions} = JSON.parse(process.argv[2]);
const clients = {};
for (const [name, key] of Object.entries(keys)) {
	const headers = key ? [["Authorization", `Bearer ${key}`]] : [];
	await OpenFeature.setProviderAndWait(name, new OFREPProvider({baseUrl: url, headers}));
	clients[name] = OpenFeature.getClient(name);
}
const answers = [];
for (const {key = "server", type, flag, fallback, context} of questions) {
	const ask = `get${type}Details`;
	answers.push(await clients[key][ask](flag, fallback, context));
}
console.log(JSON.stringify(answers));
await OpenFeature.close();
