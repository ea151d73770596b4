package io.moextend.vision;

import io.moextend.autograd.Module;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.ConfigException;
import io.moextend.config.ProjectorType;
import io.moextend.nn.ParameterFactory;

/**
 * From a tower's features to tokens of the language model's width, under the published names. How
 * many tokens an image becomes: {@link ProjectorType#tokens}.
 */
public sealed interface Projector extends Module, AutoCloseable
    permits Perceptron, PooledProjector, GroupedProjector, LdpProjector, IdentityProjector {
  /**
   * @param prefix "model.visual.mm_projector" or "model.mm_projector", without a dot behind
   * @param features width of the patches
   * @param hidden width of the tokens
   * @throws ConfigException where it cannot lead from the one width to the other
   */
  static Projector of(
      ParameterFactory from, String prefix, ProjectorType type, int features, int hidden) {
    type.requireWidths(features, hidden);
    return switch (type) {
      case ProjectorType.Linear() -> Perceptron.linear(from, prefix, features, hidden);
      case ProjectorType.Perceptron(int layers) ->
          Perceptron.of(from, prefix, layers, features, hidden);
      case ProjectorType.Pooled pooled ->
          new PooledProjector(from, prefix, pooled, features, hidden);
      case ProjectorType.Ldp ldp -> new LdpProjector(from, prefix, ldp, features, hidden);
      case ProjectorType.Grouped grouped ->
          new GroupedProjector(from, prefix, grouped, features, hidden);
      case ProjectorType.Identity() -> new IdentityProjector(features);
    };
  }

  /**
   * @param features [N·patches, features]
   * @param patches of one image
   * @return [N·tokens, hidden], tokens = {@link ProjectorType#tokens}
   * @throws ConfigException where it cannot take so many patches
   * @throws io.moextend.array.ShapeException where features have another width
   */
  Tensor forward(Tape tape, Tensor features, int patches);

  @Override
  void close();
}
