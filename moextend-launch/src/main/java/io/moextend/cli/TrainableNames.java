package io.moextend.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.PublishedJson;
import io.moextend.model.ParameterRoles;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * Which tensors train, by their names: the list {@code trainable} of a reference case's meta.json.
 */
record TrainableNames(Path file, Set<String> names) {
  static TrainableNames read(Path file) {
    JsonNode list = PublishedJson.read(file).path("trainable");
    if (!list.isArray() || list.isEmpty()) {
      throw new ConfigException(file + ": has no list \"trainable\" of tensors");
    }
    var names = new TreeSet<String>();
    list.forEach(name -> names.add(name.asText()));
    return new TrainableNames(file, names);
  }

  /** All roles that one of the tensors has. */
  Set<Role> roles(DecoderConfig config) {
    return names.stream()
        .map(name -> ParameterRoles.of(name, config))
        .collect(Collectors.toUnmodifiableSet());
  }

  /**
   * Freezes what the list does not name, of a model whose tensors of these roles train.
   *
   * @throws ConfigException where the model has no tensor of a name
   */
  void applyTo(Module model) {
    var missing = new TreeSet<>(names);
    for (Parameter parameter : model.parameters()) {
      missing.remove(parameter.name());
      parameter.trainable(names.contains(parameter.name()));
    }
    if (!missing.isEmpty()) {
      throw new ConfigException(
          "--trainable", file, "names " + missing.first() + ", which the model does not have");
    }
  }
}
