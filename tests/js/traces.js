// A trace of a 16x16 image in four tokens: one kept, two pooled and pruned at layer 2, one pruned before the LLM.
export const fourTokens = () => ({
  boxes: [
    [0, 0, 8, 8],
    [8, 0, 16, 8],
    [0, 8, 8, 16],
    [8, 8, 16, 16],
  ],
  group: [0, 1, 1, -1],
  ring: [0, 1, 1, 0],
  in_region: [true, false, false, false],
  layers: 4,
  steps: [{ layer: 2, kept: [0], scores: [0.9, 0.1] }],
  image_size: [16, 16],
  visible: [0, 0, 16, 16],
  region: { grid: [0, 0, 3, 3], source: "drawn", confidence: null },
});
