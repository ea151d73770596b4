package io.moextend.stage.convert;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.array.DType;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.config.ConfigException;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;

/**
 * A dense model with experts in some layers: each an exact copy of the network that stood there, so
 * that the mixture starts out saying what the dense model says, whatever its routers choose.
 *
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>; the published convert_moe.py
 */
public final class ToMixture {
  private ToMixture() {}

  /**
   * @param routerSeed draws the routers, normal with the config's initializer_range; empty leaves
   *     them out, as published, and whoever loads the model draws them
   * @throws ConfigException where the model has experts already, the mixture was never published
   *     for it, or the layers are not its own
   * @throws io.moextend.checkpoint.CheckpointException where a layer's network is missing or of
   *     another size
   */
  public static Conversion of(
      SourceModel source, Mixture mixture, LayerChoice choice, OptionalLong routerSeed) {
    requireDense(source);
    PublishedType type = source.type().as(mixture.architecture());
    SortedSet<Integer> chosen = choice.of(source.layers());
    List<String> weights = source.type().family().weights();
    var from = new TreeMap<String, String>();
    source.weights().names().forEach(name -> from.put(name, name));
    var drawn = new ArrayList<TensorStream>();
    for (int layer = 0; layer < source.layers(); layer++) {
      source.requireBelow(layer, weights, Set.of());
      if (!chosen.contains(layer)) {
        continue;
      }
      source.requireShapes(layer, "");
      for (String weight : weights) {
        String dense = SourceModel.tensor(layer, weight);
        from.remove(dense);
        for (String expert : mixture.experts()) {
          from.put(SourceModel.tensor(layer, expert + "." + weight), dense);
        }
      }
      if (routerSeed.isPresent()) {
        drawn.addAll(routers(source, mixture, layer, routerSeed.getAsLong()));
      }
    }
    ObjectNode config = MixtureFields.without(source, type);
    mixture.describe(config);
    MixtureFields.setLayers(config, chosen, source.layers());
    return new Conversion(source, type, config, chosen, from, drawn);
  }

  private static void requireDense(SourceModel source) {
    if (source.type().architecture() != Architecture.DENSE) {
      throw new ConfigException(
          source.file() + ": model_type",
          source.type().modelType(),
          "has experts already; make it dense first: convert-moe --architecture dense");
    }
  }

  private static List<TensorStream> routers(
      SourceModel source, Mixture mixture, int layer, long seed) {
    String beside = SourceModel.tensor(layer, source.type().family().weights().getFirst());
    DType dtype = source.weights().stream(beside).dtype();
    var routers = new ArrayList<TensorStream>();
    mixture
        .routers()
        .forEach(
            (name, experts) -> {
              String tensor = SourceModel.tensor(layer, name + ".weight");
              long[] shape = {experts, source.hidden()};
              var random = new Random(seed * 31 + tensor.hashCode());
              float[] values = new float[Math.multiplyExact(experts, source.hidden())];
              for (int i = 0; i < values.length; i++) {
                values[i] = (float) (random.nextGaussian() * source.initializerRange());
              }
              routers.add(TensorStream.of(TensorData.of(tensor, dtype, shape, values)));
            });
    return routers;
  }
}
