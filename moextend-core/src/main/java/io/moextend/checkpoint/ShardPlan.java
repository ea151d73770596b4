package io.moextend.checkpoint;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.SortedMap;
import java.util.TreeMap;

/** Which tensors go into which file of a model, cut in the order given. */
record ShardPlan(SortedMap<String, List<TensorStream>> files) {
  static ShardPlan of(Collection<TensorStream> tensors, long maxShardBytes) {
    if (maxShardBytes < 1) {
      throw new CheckpointException(
          "a shard of at most " + maxShardBytes + " bytes holds nothing; give a positive size");
    }
    var shards = new ArrayList<List<TensorStream>>();
    shards.add(new ArrayList<>());
    long room = maxShardBytes;
    for (TensorStream tensor : tensors) {
      if (tensor.bytes() > room && !shards.getLast().isEmpty()) {
        shards.add(new ArrayList<>());
        room = maxShardBytes;
      }
      shards.getLast().add(tensor);
      room -= tensor.bytes();
    }
    var files = new TreeMap<String, List<TensorStream>>();
    for (int i = 0; i < shards.size(); i++) {
      files.put(fileName(i + 1, shards.size()), shards.get(i));
    }
    return new ShardPlan(files);
  }

  private static String fileName(int number, int count) {
    return count == 1
        ? CheckpointFolder.MODEL
        : String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", number, count);
  }

  long totalBytes() {
    return files.values().stream().flatMap(List::stream).mapToLong(TensorStream::bytes).sum();
  }

  ShardIndex index() {
    var weightMap = new TreeMap<String, String>();
    for (var file : files.entrySet()) {
      for (TensorStream tensor : file.getValue()) {
        weightMap.put(tensor.name(), file.getKey());
      }
    }
    return new ShardIndex(weightMap);
  }
}
