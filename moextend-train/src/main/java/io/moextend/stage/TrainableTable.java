package io.moextend.stage;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;

/**
 * How much of a model trains, by role.
 *
 * @param rows one for each role the model has, in the order of {@link Role}
 */
public record TrainableTable(List<Row> rows) {
  /**
   * @param tensors parameters of this role
   * @param elements their elements
   * @param trainable elements of those that train
   */
  public record Row(Role role, int tensors, long elements, long trainable) {
    private Row plus(Parameter p) {
      long size = p.size();
      return new Row(role, tensors + 1, elements + size, trainable + (p.requiresGrad() ? size : 0));
    }
  }

  public TrainableTable {
    rows = List.copyOf(rows);
  }

  /** Counts {@code model} as it is frozen now. */
  public static TrainableTable of(Module model) {
    var rows = new EnumMap<Role, Row>(Role.class);
    model.visit(
        p -> rows.put(p.role(), rows.getOrDefault(p.role(), new Row(p.role(), 0, 0, 0)).plus(p)));
    return new TrainableTable(new ArrayList<>(rows.values()));
  }

  public long elements() {
    return rows.stream().mapToLong(Row::elements).sum();
  }

  public long trainable() {
    return rows.stream().mapToLong(Row::trainable).sum();
  }

  /** Trained share of all elements, 0 to 1. */
  public double share() {
    return elements() == 0 ? 0 : (double) trainable() / elements();
  }

  /** Lines for a terminal: role, parameters, trained, and the trained share of the model. */
  public String text() {
    var text = new StringBuilder("%-14s %16s %16s %10s%n".formatted("", "elements", "trained", ""));
    rows.forEach(r -> text.append(line(r.role().words(), r.elements(), r.trainable())));
    return text.append(line("all", elements(), trainable())).toString();
  }

  private String line(String name, long elements, long trainable) {
    return String.format(
        Locale.ROOT,
        "%-14s %,16d %,16d %9.4f%%%n",
        name,
        elements,
        trainable,
        100.0 * trainable / Math.max(1, elements()));
  }
}
