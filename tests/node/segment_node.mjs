// @segment/analytics-node, unchanged: makes every call, and prints errors if there were any.
import {Analytics} from "@segment/analytics-node";

const {url, key} = JSON.parse(process.argv[2]);
const analytics = new Analytics({writeKey: key, host: url, flushAt: 4});
const errors = [];
analytics.on("error", (error) => errors.push(error));
const who = {userId: "user-1", anonymousId: "visitor-1"};
analytics.identify({...who, traits: {plan: "pro"}});
analytics.track({...who, event: "Bought", properties: {value: 12.5, items: ["a", "b"]}, timestamp: new Date(Date.now() - 3600e3)});
analytics.page({anonymousId: "visitor-1", name: "Home"});
analytics.screen({anonymousId: "visitor-1", name: "Start"});
analytics.group({...who, groupId: "team-1", traits: {seats: 5}});
analytics.alias({userId: "user-1", previousId: "visitor-1"});
await analytics.closeAndFlush({timeout: 20_000});
console.log(JSON.stringify({errors}));
