package io.moextend.adapter;

import io.moextend.nn.ParameterFactory.Init;
import io.moextend.nn.Sites.Layer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * One tensor of a site: how it is called, how it starts and its sizes in memory. A file has those
 * of {@link #TURNED} with the last two axes the other way round: [in, rank] and [in, experts],
 * where products want rows of {@code in}.
 */
record SiteTensor(String module, String suffix, Init init, List<Long> shape) {
  static final String SCALING = "ia3_scaling";
  static final String MIXED_SCALING = "mov_scaling";
  static final String A = "lora_A";
  static final String B = "lora_B";
  static final String ROUTER = "router.kernel";

  private static final Set<String> ALL = Set.of(SCALING, MIXED_SCALING, A, B, ROUTER);
  private static final Set<String> TURNED = Set.of(A, ROUTER);

  String name() {
    return module + "." + suffix;
  }

  long[] sizes() {
    return shape.stream().mapToLong(Long::longValue).toArray();
  }

  long count() {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }

  /** True of a name that only an adapter's tensor can have. */
  static boolean isName(String name) {
    return ALL.stream().anyMatch(suffix -> name.endsWith("." + suffix));
  }

  /** True where a file has the last two axes the other way round than memory. */
  static boolean isTurned(String name) {
    return TURNED.stream().anyMatch(suffix -> name.endsWith("." + suffix));
  }

  /** What the layer's adapter is made of, in the order in which it is visited. */
  static List<SiteTensor> of(AdapterConfig config, Layer layer) {
    return config.method().isAdditive() ? lowRank(config, layer) : vectors(config, layer);
  }

  private static List<SiteTensor> lowRank(AdapterConfig config, Layer layer) {
    boolean routed = config.method().isRouted();
    var tensors = new ArrayList<SiteTensor>();
    var experts = routed ? List.of((long) config.experts()) : List.<Long>of();
    tensors.add(matrix(layer, A, Init.NORMAL, experts, config.rank(), layer.in()));
    tensors.add(matrix(layer, B, Init.ZEROS, experts, config.rank(), layer.out()));
    if (routed) {
      tensors.add(matrix(layer, ROUTER, Init.NORMAL, List.of(), config.experts(), layer.in()));
    }
    return tensors;
  }

  private static List<SiteTensor> vectors(AdapterConfig config, Layer layer) {
    String module = layer.module();
    boolean hidden = Targets.inFeedForward(module);
    long width = Targets.last(module).equals("down_proj") ? layer.in() : layer.out();
    long heads = hidden ? 1 : layer.heads();
    long size = width / heads;
    if (width % heads != 0) {
      throw new IllegalArgumentException("%s has %d heads in %d".formatted(module, heads, width));
    }
    var byHead = hidden ? List.<Long>of() : List.of(heads);
    if (!config.method().isRouted()) {
      return List.of(new SiteTensor(module, SCALING, Init.ONES, joined(byHead, size)));
    }
    long experts = config.experts();
    return List.of(
        new SiteTensor(module, MIXED_SCALING, Init.ONES, joined(byHead, experts, size)),
        matrix(layer, ROUTER, Init.NORMAL, List.of(), experts, size));
  }

  private static SiteTensor matrix(
      Layer layer, String suffix, Init init, List<Long> before, long rows, long columns) {
    return new SiteTensor(layer.module(), suffix, init, joined(before, rows, columns));
  }

  private static List<Long> joined(List<Long> before, long... more) {
    var all = new ArrayList<>(before);
    for (long size : more) {
      all.add(size);
    }
    return List.copyOf(all);
  }
}
