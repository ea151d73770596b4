package io.moextend.model;

import io.moextend.autograd.Tensor;
import io.moextend.nn.SitePass;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.SequencedMap;
import java.util.SequencedSet;
import org.jspecify.annotations.Nullable;

/** Collects the logits of adapters' routers, layer by layer. */
final class RoutedSites {
  private final SequencedMap<String, Tensor> logits = new LinkedHashMap<>();
  private SequencedSet<String> modules = new LinkedHashSet<>();

  /** What the sites of the next layer are told. */
  SitePass enter(Watch watch, @Nullable Long noise) {
    var named = new LinkedHashSet<String>(); // a layer that runs again names the same
    modules = named;
    return new SitePass(
        watch == Watch.NONE ? SitePass.NOBODY : watch::see,
        (module, tensor) -> named.add(module),
        noise);
  }

  /**
   * @param outs what the layer gave, last the logits of its routers in the order they were named
   * @return the rest
   */
  List<Tensor> take(List<Tensor> outs) {
    List<Tensor> rest = outs.subList(0, outs.size() - modules.size());
    int next = rest.size();
    for (String module : modules) {
      logits.put(module, outs.get(next++));
    }
    return rest;
  }

  /** All so far, by module. */
  SequencedMap<String, Tensor> logits() {
    return logits;
  }
}
