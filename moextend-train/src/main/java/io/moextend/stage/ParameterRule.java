package io.moextend.stage;

import io.moextend.autograd.Parameter.Role;
import io.moextend.config.ConfigException;
import io.moextend.model.ParameterChoice;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;

/**
 * Some of a model's parameters, as one line of a configuration says it:
 *
 * <ul>
 *   <li>{@code role:expert} is all of one role. Roles are those of the table a run begins with, a
 *       space or an underscore between words: {@code role:vision_tower}.
 *   <li>{@code name:\.mlp\.gate} is all in whose name the regular expression is found, anywhere as
 *       Python's re.search does it: {@code name:^model\.layers\.3\.} is the fourth layer. Between
 *       brackets YAML wants quotes around one with brackets or commas: {@code
 *       ['name:experts\.[03]\.']}.
 * </ul>
 */
public sealed interface ParameterRule extends ParameterChoice {
  /** All of a role. */
  record OfRole(Role role) implements ParameterRule {
    @Override
    public boolean has(String name, Role of) {
      return of == role;
    }

    @Override
    public String toString() {
      return "role:" + role.words();
    }
  }

  /** All whose name holds what the expression describes. */
  record OfName(Pattern expression) implements ParameterRule {
    @Override
    public boolean has(String name, Role role) {
      return expression.matcher(name).find();
    }

    @Override
    public String toString() {
      return "name:" + expression;
    }
  }

  /**
   * @param field of the configuration, for messages
   * @throws ConfigException where the text is no rule
   */
  static ParameterRule parse(String field, String text) {
    int colon = text.indexOf(':');
    String what = text.substring(colon + 1).strip();
    return switch (text.substring(0, Math.max(0, colon)).strip()) {
      case "role" -> new OfRole(role(field, text, what));
      case "name" -> new OfName(expression(field, text, what));
      default ->
          throw new ConfigException(
              field,
              text,
              "a rule is role:ROLE, as in role:expert, or name:EXPRESSION, as in name:\\.mlp\\.");
    };
  }

  /** Each line's rule. */
  static List<ParameterRule> parse(String field, List<String> lines) {
    return lines.stream().map(line -> parse(field, line)).toList();
  }

  private static Role role(String field, String text, String word) {
    String words = word.replace('_', ' ');
    return Arrays.stream(Role.values())
        .filter(role -> role.words().equals(words))
        .findFirst()
        .orElseThrow(
            () ->
                new ConfigException(
                    field,
                    text,
                    "there is no such role; known are "
                        + Arrays.stream(Role.values())
                            .map(Role::words)
                            .collect(Collectors.joining(", "))));
  }

  private static Pattern expression(String field, String text, String expression) {
    if (expression.isEmpty()) {
      throw new ConfigException(field, text, "the expression is missing, as in name:\\.mlp\\.");
    }
    try {
      return Pattern.compile(expression);
    } catch (PatternSyntaxException e) {
      throw new ConfigException(
          field,
          text,
          "is no regular expression: %s at character %d"
              .formatted(e.getDescription(), e.getIndex()));
    }
  }
}
