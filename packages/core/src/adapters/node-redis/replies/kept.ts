/** What is stored for a reply that can be changed: it makes copies of that reply. */
export interface Kept {
  /** A copy that its receiver may change. Nothing of it is shared with this or another copy. */
  copy(): unknown;
}
