package io.moextend.adapter;

import io.moextend.nn.Sites.Layer;
import java.util.ArrayList;
import java.util.List;

/** The linear layers of a T5, of names and sizes alone. */
record T5Layers(int pairs, int heads, int headSize, int hidden, int width) {
  static T5Layers of(String size) {
    return switch (size) {
      case "tiny" -> new T5Layers(1, 2, 16, 32, 128);
      case "base" -> new T5Layers(12, 12, 64, 768, 2048);
      case "large" -> new T5Layers(24, 16, 64, 1024, 2816);
      case "xl" -> new T5Layers(24, 32, 64, 2048, 5120);
      case "xxl" -> new T5Layers(24, 64, 64, 4096, 10240);
      default -> throw new IllegalArgumentException(size);
    };
  }

  List<Layer> all() {
    var layers = new ArrayList<Layer>();
    for (int i = 0; i < pairs; i++) {
      attention(layers, "encoder.block." + i + ".layer.0.SelfAttention");
      network(layers, "encoder.block." + i + ".layer.1.DenseReluDense");
      attention(layers, "decoder.block." + i + ".layer.0.SelfAttention");
      attention(layers, "decoder.block." + i + ".layer.1.EncDecAttention");
      network(layers, "decoder.block." + i + ".layer.2.DenseReluDense");
    }
    return layers;
  }

  private void attention(List<Layer> to, String prefix) {
    long inner = (long) heads * headSize;
    for (String name : List.of("q", "k", "v")) {
      to.add(new Layer(prefix + "." + name, hidden, inner, heads));
    }
    to.add(new Layer(prefix + ".o", inner, hidden, 1));
  }

  private void network(List<Layer> to, String prefix) {
    to.add(new Layer(prefix + ".wi_0", hidden, width, 1));
    to.add(new Layer(prefix + ".wi_1", hidden, width, 1));
    to.add(new Layer(prefix + ".wo", width, hidden, 1));
  }
}
