// @openfeature/ofrep-web-provider, unchanged, under Node: prints what it answers before and after the context changes.
import {OFREPWebProvider} from "@openfeature/ofrep-web-provider";
import {OpenFeature} from "@openfeature/web-sdk";

const {url, key, questions, contexts} = JSON.parse(process.argv[2]);
const requests = [];
const fetchImplementation = async (...request) => {
	const answer = await fetch(...request);
	requests.push(answer.status);
	return answer;
};
const provider = new OFREPWebProvider({baseUrl: url, headers: [["Authorization", `Bearer ${key}`]], fetchImplementation});
await OpenFeature.setProviderAndWait(provider, contexts[0]).catch(() => {});
const client = OpenFeature.getClient();
const ask = () => questions.map(({type, flag, fallback}) => client[`get${type}Details`](flag, fallback));
const rounds = [{status: client.providerStatus, answers: ask()}];
for (const context of contexts.slice(1)) {
	await OpenFeature.setContext(context);
	rounds.push({status: client.providerStatus, answers: ask()});
}
console.log(JSON.stringify({rounds, requests}));
await OpenFeature.close();
