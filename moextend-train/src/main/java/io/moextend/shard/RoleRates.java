package io.moextend.shard;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import java.util.Map;

/**
 * How fast some roles learn beside the others. All follow the schedule of the learning rate, each
 * times its factor: torch's parameter groups, whose rates one schedule scales alike.
 *
 * @param factors what a role's rate is the learning rate times of; 1 for roles not named
 */
public record RoleRates(Map<Role, Double> factors) {
  /** All learn alike. */
  public static final RoleRates ALIKE = new RoleRates(Map.of());

  public RoleRates {
    factors = Map.copyOf(factors);
  }

  /** The rate of a parameter where the learning rate is {@code rate}. */
  double of(Parameter parameter, double rate) {
    return rate * factors.getOrDefault(parameter.role(), 1.0);
  }
}
