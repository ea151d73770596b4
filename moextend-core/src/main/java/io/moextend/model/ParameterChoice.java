package io.moextend.model;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import java.util.Set;

/** Some of a model's parameters, told apart by what is known of them before they are loaded. */
@FunctionalInterface
public interface ParameterChoice {
  ParameterChoice NONE = (name, role) -> false;

  ParameterChoice ALL = (name, role) -> true;

  /**
   * @param name as in the published checkpoint
   */
  boolean has(String name, Role role);

  default boolean has(Parameter parameter) {
    return has(parameter.name(), parameter.role());
  }

  static ParameterChoice of(Set<Role> roles) {
    Set<Role> chosen = Set.copyOf(roles);
    return (name, role) -> chosen.contains(role);
  }
}
