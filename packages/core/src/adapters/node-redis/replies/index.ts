export { saysAbsent } from './absent.ts';
export { freezeReply } from './freeze.ts';
export { handOut, keep } from './keep.ts';
export { replyBytes } from './reply-bytes.ts';
