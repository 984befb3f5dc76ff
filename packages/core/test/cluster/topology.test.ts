import { expect, test } from 'vitest';
import { topologyOf } from '../../src/cluster/topology.ts';

const SLOTS = [[0, 16_383, ['10.0.0.1', 6379, 'me', []]]];
const INFO =
  'cluster_enabled:1\r\ncluster_state:ok\r\ncluster_current_epoch:7\r\ncluster_stats_messages_sent:5\r\n';
const nodes = (own: string, others: string): string =>
  `one 10.0.0.1:6379@16379 myself,master - 0 1700000000000 1 connected 0-5460${own}
two 10.0.0.2:6379@16379,host master - 0 1700000000001 2 connected 5461-16383${others}
`;

const TOPOLOGY = topologyOf([SLOTS, nodes('', ''), INFO]);

test.for([
  ['times and counts', nodes('', '').replaceAll('17', '18'), INFO.replace('sent:5', 'sent:6')],
  ['what comes to the node', nodes(' [93-<-two]', ''), INFO],
  ['what leaves another one', nodes('', ' [9999->-one]'), INFO],
] as const)('%s say nothing of what was read there', ([, nodes, info]) => {
  expect(topologyOf([SLOTS, nodes, info])).toBe(TOPOLOGY);
});

test.for([
  ['other slots', [[0, 9, ['10.0.0.1', 6379, 'me', []]]], nodes('', ''), INFO],
  ['a slot that leaves the node', SLOTS, nodes(' [93->-two]', ''), INFO],
  ['slots that left and came back', SLOTS, nodes('', ''), INFO.replace('epoch:7', 'epoch:9')],
  ['a node that is cut off', SLOTS, nodes('', ''), INFO.replace('state:ok', 'state:fail')],
] as const)('%s is another topology', ([, slots, nodes, info]) => {
  expect(topologyOf([slots, nodes, info])).not.toBe(TOPOLOGY);
});

test('every slot that leaves counts, also of a node whose flags begin otherwise', () => {
  const two = nodes(' [93->-two] [94->-two]', '').replace(
    'myself,master',
    'myself,master,nofailover',
  );
  const one = two.replace(' [94->-two]', '');
  expect(topologyOf([SLOTS, two, INFO])).not.toBe(topologyOf([SLOTS, one, INFO]));
  expect(topologyOf([SLOTS, one, INFO])).not.toBe(TOPOLOGY);
});

test('what was refused is the same each time', () => {
  expect(topologyOf([SLOTS, undefined, undefined])).toBe(
    topologyOf([SLOTS, new Error('no'), null]),
  );
});
