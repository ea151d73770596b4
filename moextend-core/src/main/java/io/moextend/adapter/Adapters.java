package io.moextend.adapter;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.ConfigException;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.Site;
import io.moextend.nn.Sites;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Makes the adapters of one model, asked by its constructor. Parameters have the role ADAPTER and
 * are the model's to visit; what was packed from them is closed here, after the model.
 *
 * <p>Tensors are called MODULE.ia3_scaling, MODULE.mov_scaling, MODULE.lora_A, MODULE.lora_B and
 * MODULE.router.kernel. The original takes heads times head size to be the hidden width; here every
 * adapter has the sizes of the layer it stands at.
 */
public final class Adapters implements Sites, AutoCloseable {
  private final ParameterFactory from;
  private final AdapterConfig config;
  private final Targets targets;
  private final List<String> modules = new ArrayList<>();
  private final List<Runnable> closing = new ArrayList<>();

  /**
   * @param from its {@link ParameterFactory.Init#NORMAL} has to have the config's initializerRange
   */
  public Adapters(ParameterFactory from, AdapterConfig config) {
    this.from = from;
    this.config = config;
    this.targets = new Targets(config);
  }

  public AdapterConfig config() {
    return config;
  }

  /** Where adapters are, in the order the model asked. */
  public List<String> modules() {
    return List.copyOf(modules);
  }

  /**
   * To be called when the model is built.
   *
   * @throws ConfigException where a site was named that the model does not have
   */
  public void requireAllFound() {
    targets.requireAllFound();
  }

  @Override
  public @Nullable Site at(Layer layer) {
    if (!targets.has(layer.module())) {
      return null;
    }
    modules.add(layer.module());
    Iterator<Parameter> parameters =
        SiteTensor.of(config, layer).stream()
            .map(t -> from.parameter(t.name(), Role.ADAPTER, t.init(), t.sizes()))
            .iterator();
    return config.method().isAdditive()
        ? lowRank(layer.module(), parameters)
        : vectors(layer.module(), parameters);
  }

  private Site lowRank(String module, Iterator<Parameter> parameters) {
    Weight a = Weight.stacked(from.backend(), parameters.next());
    Weight b = Weight.stacked(from.backend(), parameters.next());
    var site = new LowRankSite(module, a, b, router(module, parameters), config.scale());
    closing.add(site::close);
    return site;
  }

  private Site vectors(String module, Iterator<Parameter> parameters) {
    Parameter scaling = parameters.next();
    var site = new VectorSite(module, scaling, router(module, parameters));
    closing.add(site::close);
    return site;
  }

  private @Nullable SiteRouter router(String module, Iterator<Parameter> parameters) {
    return parameters.hasNext()
        ? new SiteRouter(module, Weight.of(from.backend(), parameters.next()), config)
        : null;
  }

  /** How many numbers the adapter of a layer has; 0 where there is none. */
  public static long parameters(AdapterConfig config, Layer layer) {
    return new Targets(config).has(layer.module())
        ? SiteTensor.of(config, layer).stream().mapToLong(SiteTensor::count).sum()
        : 0;
  }

  /** True of the name of an adapter's tensor. */
  public static boolean isTensor(String name) {
    return SiteTensor.isName(name);
  }

  @Override
  public void close() {
    closing.forEach(Runnable::run);
    closing.clear();
  }
}
