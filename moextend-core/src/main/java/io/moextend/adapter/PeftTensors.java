package io.moextend.adapter;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Map;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.ToIntFunction;

/** The tensors of a PEFT file under our names and as memory has them. Closes the file. */
final class PeftTensors implements WeightSource {
  private static final String PREFIX = "base_model.model.";

  /** Ends of names in a file, and ours. */
  private static final Map<String, String> ENDS =
      Map.of(
          ".lora_A.weight", "." + SiteTensor.A,
          ".lora_B.weight", "." + SiteTensor.B,
          ".ia3_l", "." + SiteTensor.SCALING);

  private final SafetensorsFile file;
  private final ToIntFunction<String> heads;
  private final Map<String, String> names = new TreeMap<>();

  private PeftTensors(SafetensorsFile file, ToIntFunction<String> heads) {
    this.file = file;
    this.heads = heads;
  }

  static PeftTensors of(SafetensorsFile file, AdapterMethod method, ToIntFunction<String> heads) {
    var tensors = new PeftTensors(file, heads);
    for (String name : file.names()) {
      tensors.enter(name, method);
    }
    return tensors;
  }

  private void enter(String name, AdapterMethod method) {
    for (var end : ENDS.entrySet()) {
      boolean additive = end.getKey().startsWith(".lora");
      if (name.startsWith(PREFIX)
          && name.endsWith(end.getKey())
          && additive == method.isAdditive()) {
        String module = name.substring(PREFIX.length(), name.length() - end.getKey().length());
        long[] shape = file.tensor(name).shape();
        if (shape.length != 2 || !additive && shape[0] != 1 && shape[1] != 1) {
          throw CheckpointException.ofTensor(
              file.path(), name, "has a shape that PEFT never wrote");
        }
        names.put(ours(module, !additive && shape[0] == 1, name) + end.getValue(), name);
        return;
      }
    }
    throw CheckpointException.ofTensor(
        file.path(),
        name,
        "is not supported; known are "
            + new TreeSet<>(ENDS.keySet())
            + " of linear layers, without trained biases, embeddings, magnitudes or whole modules");
  }

  /** A T5's hidden state is multiplied where it is read there, and where it is made here. */
  private String ours(String module, boolean hidden, String name) {
    if (!hidden) {
      return module;
    }
    String found = module.endsWith(".wo") ? module.replaceAll("wo$", "wi_0") : module;
    if (!Targets.inFeedForward(found)) {
      throw CheckpointException.ofTensor(
          file.path(), name, "multiplies the input of a layer; that is built for wo and down_proj");
    }
    return found;
  }

  /** Modules that have a tensor, as they are called here. */
  SortedSet<String> modules() {
    var modules = new TreeSet<String>();
    names.keySet().forEach(name -> modules.add(name.substring(0, name.lastIndexOf('.'))));
    return modules;
  }

  @Override
  public Set<String> names() {
    return names.keySet();
  }

  @Override
  public TensorData tensor(String name) {
    String own = names.get(name);
    if (own == null) {
      throw CheckpointException.ofTensor(origin(), name, "is not in this file");
    }
    TensorData data = file.tensor(own).named(name);
    if (name.endsWith("." + SiteTensor.B)) {
      return data.turned();
    }
    if (!name.endsWith("." + SiteTensor.SCALING)) {
      return data;
    }
    String module = name.substring(0, name.lastIndexOf('.'));
    long size = data.length();
    if (Targets.inFeedForward(module)) {
      return data.shaped(size);
    }
    int split = heads.applyAsInt(module);
    if (size % split != 0) {
      throw CheckpointException.ofTensor(
          file.path(),
          own,
          "has %d numbers, which %d heads cannot share; another model's?".formatted(size, split));
    }
    return data.shaped(split, size / split);
  }

  /** As PEFT has what memory has. */
  static TensorData published(TensorData data) {
    String name = data.name();
    int dot = name.lastIndexOf('.');
    String module = name.substring(0, dot);
    String suffix = name.substring(dot + 1);
    return switch (suffix) {
      case SiteTensor.A -> data.named(PREFIX + name + ".weight");
      case SiteTensor.B -> data.turned().named(PREFIX + name + ".weight");
      case SiteTensor.SCALING -> {
        boolean hidden = Targets.inFeedForward(module);
        String there = reader(module);
        TensorData vector = hidden ? data.shaped(1, data.length()) : data.shaped(data.length(), 1);
        yield vector.named(PREFIX + there + ".ia3_l");
      }
      default -> throw CheckpointException.ofTensor("adapter", name, "PEFT has no such tensor");
    };
  }

  /** The layer that reads a hidden state which is multiplied after {@code module}. */
  static String reader(String module) {
    return module.replaceAll("\\.wi(_0)?$", ".wo");
  }

  /** The module of a published name. */
  static String module(String published) {
    String bare = published.substring(PREFIX.length());
    for (String end : ENDS.keySet()) {
      if (bare.endsWith(end)) {
        return bare.substring(0, bare.length() - end.length());
      }
    }
    throw new IllegalArgumentException(published);
  }

  @Override
  public String origin() {
    return file.origin();
  }

  @Override
  public void close() {
    file.close();
  }
}
