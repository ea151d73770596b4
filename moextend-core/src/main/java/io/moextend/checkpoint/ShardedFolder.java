package io.moextend.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/** The shards that one index names, all open. */
final class ShardedFolder implements WeightSource {
  private final Path folder;
  private final SortedMap<String, String> weightMap;
  private final Map<String, SafetensorsFile> shards = new TreeMap<>();

  private ShardedFolder(Path folder, SortedMap<String, String> weightMap) {
    this.folder = folder;
    this.weightMap = Collections.unmodifiableSortedMap(weightMap);
  }

  /**
   * @throws CheckpointException where index and shards do not name the same tensors, each once
   */
  static ShardedFolder open(Path folder) {
    Path index = folder.resolve(ShardIndex.FILE);
    var source = new ShardedFolder(folder, ShardIndex.read(index).weightMap());
    try {
      source.openShards(index);
      source.checkAgainstIndex(index);
      return source;
    } catch (RuntimeException e) {
      source.close();
      throw e;
    }
  }

  private void openShards(Path index) {
    for (var entry : weightMap.entrySet()) {
      String shard = entry.getValue();
      if (!shards.containsKey(shard)) {
        Path file = CheckpointFolder.inside(folder, shard, index);
        if (!Files.isRegularFile(file)) {
          throw CheckpointException.ofTensor(
              index, entry.getKey(), "its shard " + file + " is missing; fetch or copy it");
        }
        shards.put(shard, SafetensorsFile.open(file));
      }
    }
  }

  private void checkAgainstIndex(Path index) {
    for (var entry : weightMap.entrySet()) {
      if (!shard(entry.getValue()).names().contains(entry.getKey())) {
        throw CheckpointException.ofTensor(
            index,
            entry.getKey(),
            "is not in its shard " + entry.getValue() + "; index and shards are of two models");
      }
    }
    for (var shard : shards.entrySet()) {
      for (String name : shard.getValue().names()) {
        String indexed = weightMap.get(name);
        if (indexed == null) {
          throw CheckpointException.ofTensor(
              index, name, "stands in " + shard.getKey() + " but not in the index; rebuild it");
        }
        if (!indexed.equals(shard.getKey())) {
          throw CheckpointException.ofTensor(
              index, name, "stands in both " + indexed + " and " + shard.getKey());
        }
      }
    }
  }

  private SafetensorsFile shard(String fileName) {
    SafetensorsFile shard = shards.get(fileName);
    if (shard == null) {
      throw new IllegalStateException(fileName + " was never opened");
    }
    return shard;
  }

  @Override
  public Set<String> names() {
    return weightMap.keySet();
  }

  @Override
  public TensorData tensor(String name) {
    return shardOf(name).tensor(name);
  }

  @Override
  public TensorStream stream(String name) {
    return shardOf(name).stream(name);
  }

  private SafetensorsFile shardOf(String name) {
    String shard = weightMap.get(name);
    if (shard == null) {
      throw CheckpointException.ofTensor(folder, name, "is not in this checkpoint");
    }
    return shard(shard);
  }

  @Override
  public String origin() {
    return folder.toString();
  }

  @Override
  public void close() {
    shards.values().forEach(SafetensorsFile::close);
  }
}
