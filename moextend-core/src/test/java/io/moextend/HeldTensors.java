package io.moextend;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Tensors that a test has made, as a file would have them. */
public record HeldTensors(Map<String, TensorData> tensors) implements WeightSource {
  public static HeldTensors of(TensorData... tensors) {
    var map = new TreeMap<String, TensorData>();
    for (TensorData tensor : tensors) {
      map.put(tensor.name(), tensor);
    }
    return new HeldTensors(map);
  }

  @Override
  public Set<String> names() {
    return tensors.keySet();
  }

  @Override
  public TensorData tensor(String name) {
    TensorData tensor = tensors.get(name);
    if (tensor == null) {
      throw new CheckpointException(origin() + " has no tensor " + name);
    }
    return tensor;
  }

  @Override
  public String origin() {
    return "held";
  }

  @Override
  public void close() {}
}
