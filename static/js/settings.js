// The fields of the training settings. A value counts as soon as its field is left: it is stored here at once, so it is
// sent with whatever is clicked next. The server only judges it; of its answer each field takes what still fits.
const last = {}; // by setting: the update that was written into its field
const recommended = {};
const left = {}; // by setting: what its field held when it was left, until it is written into again
const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
const changed = () => apprentice.store.choice().settings ?? {};

// initial: what the field held as the page was drawn. An empty field, or one with the recommended value, is unchanged.
const leave = (name, initial, typed) => {
  const value = typed ?? null, { [name]: before, ...others } = changed();
  left[name] = value;
  if (value === null || value === recommended[name]) apprentice.store.patch({ settings: others });
  else if (before !== undefined || value !== (last[name]?.value ?? initial)) {
    apprentice.store.patch({ settings: { ...others, [name]: value } });
  }
};

// Writes the server's update into each field, except where another value was left since the answer was asked for (its
// own answer follows) and where a person is typing: that field holds neither this value nor the one last written or left.
const write = (answer, ...values) => {
  if (!answer) return [];
  return [null, ...Object.entries(answer.fields).map(([name, { initial, recommended: usual, update }], at) => {
    const value = values[at] ?? null, before = last[name] ?? { value: initial };
    if (!same(answer.changed[name], changed()[name])) return undefined;
    recommended[name] = usual;
    if (![update.value, before.value].includes(value) && left[name] !== value) return undefined;
    last[name] = update;
    delete left[name];
    return value === update.value && same(before, update) ? undefined : update;
  })];
};

apprentice.settings = { leave, write };
