package io.moextend.backend.cpu;

/** A row of many numbers, such as the logits of a whole vocabulary. */
final class LongRow {
  private LongRow() {}

  /** As {@link io.moextend.backend.RoutingKernels#topK} of one row; NaN is the least of all. */
  static void topK(Lane lane, CpuArray scores, int row, CpuArray out) {
    int width = CpuDevice.count(scores.dim(1));
    int k = CpuDevice.count(out.dim(1));
    float[] left = lane.floats(0, width);
    Floats.load(scores, (long) row * width, width, left);
    for (int j = 0; j < k; j++) {
      int largest = firstLargest(left, width);
      out.setInt((long) row * k + j, largest);
      left[largest] = Float.NaN;
    }
  }

  /** 0 where all are NaN. */
  private static int firstLargest(float[] row, int width) {
    int first = 0;
    while (first < width && Float.isNaN(row[first])) {
      first++;
    }
    if (first == width) {
      return 0;
    }
    int largest = first;
    float most = row[first];
    for (int i = first + 1; i < width; i++) {
      if (row[i] > most) {
        most = row[i];
        largest = i;
      }
    }
    return largest;
  }
}
