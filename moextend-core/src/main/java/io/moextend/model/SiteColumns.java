package io.moextend.model;

import io.moextend.nn.Linear;
import io.moextend.nn.Site;
import io.moextend.nn.Sites;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The adapters of one product's columns, while a layer is built. */
final class SiteColumns {
  private final Sites sites;
  private final long in;
  private final List<Linear.Part> parts = new ArrayList<>();
  private final Map<String, Site.Rescaling> rescaling = new TreeMap<>();

  /**
   * @param in width of what the product reads
   */
  SiteColumns(Sites sites, long in) {
    this.sites = sites;
    this.in = in;
  }

  /**
   * Asks for the adapter of some columns.
   *
   * @return true where there is one
   */
  boolean at(String module, long from, long width, int heads) {
    Site site = sites.at(new Sites.Layer(module, in, width, heads));
    return switch (site) {
      case null -> false;
      case Site.Additive additive -> parts.add(new Linear.Part(from, additive));
      case Site.Rescaling found -> {
        rescaling.put(module, found);
        yield true;
      }
    };
  }

  Linear linear(Weight weight) {
    return new Linear(weight, parts);
  }

  Site.@Nullable Rescaling rescaling(String module) {
    return rescaling.get(module);
  }
}
