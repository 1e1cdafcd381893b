package preceptor;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.hl7.fhir.r5.elementmodel.Manager.FhirFormat;
import org.hl7.fhir.r5.model.ElementDefinition;
import org.hl7.fhir.r5.model.StructureDefinition;
import org.hl7.fhir.r5.model.ValueSet;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.constants.BindingKind;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.utilities.http.ManagedWebAccess;
import org.hl7.fhir.utilities.http.ManagedWebAccess.WebAccessPolicy;
import org.hl7.fhir.utilities.validation.ValidationMessage;
import org.hl7.fhir.validation.ValidationEngine;
import org.hl7.fhir.validation.instance.advisor.BasePolicyAdvisorForFullValidation;
import org.hl7.fhir.validation.service.model.InstanceValidatorParameters;

/**
 * The HL7 validation engine as one long-lived process: a line of JSON in, a line of JSON out.
 *
 * <p>A request is {@code {"resource": {...}, "profiles": ["http://..."]}}; its answer is
 * {@code {"issues": [{"severity", "id", "path", "text"}]}}, or {@code {"failed": "..."}} when the engine could not
 * judge the resource at all. The first line written, {@code {"ready": ...}}, says that the definitions are loaded.
 * Definitions come from the package cache under {@code user.home}, and from the files that the arguments name after
 * the package, terminology and extension versions; nothing is fetched.
 */
public final class OfficialValidator {

  private OfficialValidator() {}

  public static void main(String[] arguments) throws Exception {
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    // The engine reports its progress on standard output, which belongs to the answers.
    System.setOut(System.err);
    ManagedWebAccess.setAccessPolicy(WebAccessPolicy.PROHIBITED);
    ValidationEngine engine = engine(arguments[0], arguments[1], arguments[2]);
    for (String file : List.of(arguments).subList(3, arguments.length)) {
      engine.seeResource(engine.loadResource(Files.readAllBytes(Path.of(file)), file));
    }
    JsonObject ready = new JsonObject();
    ready.addProperty("ready", arguments[0]);
    answers.println(ready);

    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      answers.println(answer(engine, line));
    }
  }

  private static ValidationEngine engine(String core, String terminology, String extensions) throws Exception {
    InstanceValidatorParameters parameters =
        new InstanceValidatorParameters()
            // The EHR holds what relative references point at; here there is only the resource.
            .setAssumeValidRestReferences(true)
            .setSecurityChecks(true)
            // Made-up resources name made-up hosts.
            .setAllowExampleUrls(true);
    ValidationEngine engine =
        new ValidationEngine.ValidationEngineBuilder()
            .withVersion("4.0.1")
            .withNoTerminologyServer()
            .withCanRunWithoutTerminologyServer(true)
            .withThoVersion(terminology)
            .withExtensionsVersion(extensions)
            .withDefaultInstanceValidatorParameters(parameters)
            .fromSource(core);
    // Else a value set that only a server could expand fails on the missing server instead of being left unchecked.
    engine.getContext().setNoTerminologyServer(true);
    engine.setPolicyAdvisor(new Policy());
    return engine;
  }

  private static final class Policy extends BasePolicyAdvisorForFullValidation {
    private static final String MEDIA_TYPES = "http://hl7.org/fhir/ValueSet/mimetypes";

    Policy() {
      // Assuming REST references valid would otherwise also stop the check of the type they name.
      super(ReferenceValidationPolicy.CHECK_TYPE_IF_EXISTS, Set.of());
    }

    /**
     * Media types are a grammar, not a list: without a terminology server the engine leaves a code unchecked twice and
     * from the third time on, its empty expansion being cached, calls it wrong. The tests check media types themselves.
     */
    @Override
    public EnumSet<CodedContentValidationAction> policyForCodedContent(
        IResourceValidator validator,
        Object appContext,
        String stackPath,
        ElementDefinition definition,
        StructureDefinition structure,
        BindingKind kind,
        AdditionalBindingPurpose purpose,
        ValueSet valueSet,
        List<String> systems) {
      if (valueSet != null && MEDIA_TYPES.equals(valueSet.getUrl())) {
        return EnumSet.noneOf(CodedContentValidationAction.class);
      }
      return super.policyForCodedContent(
          validator, appContext, stackPath, definition, structure, kind, purpose, valueSet, systems);
    }
  }

  private static JsonObject answer(ValidationEngine engine, String line) {
    JsonObject answer = new JsonObject();
    try {
      JsonObject request = JsonParser.parseString(line).getAsJsonObject();
      List<String> profiles = new ArrayList<>();
      if (request.has("profiles")) {
        for (JsonElement profile : request.getAsJsonArray("profiles")) {
          profiles.add(profile.getAsString());
        }
      }
      byte[] resource = request.get("resource").toString().getBytes(StandardCharsets.UTF_8);
      List<ValidationMessage> messages = new ArrayList<>();
      engine.validate(resource, FhirFormat.JSON, profiles, messages);
      answer.add("issues", issues(messages));
    } catch (Exception problem) { // the outermost handler: the next resource must still get its answer
      answer.addProperty("failed", problem.toString());
    }
    return answer;
  }

  private static JsonArray issues(List<ValidationMessage> messages) {
    JsonArray issues = new JsonArray();
    for (ValidationMessage message : messages) {
      JsonObject issue = new JsonObject();
      issue.addProperty("severity", message.getLevel().toCode());
      issue.addProperty("id", message.getMessageId());
      issue.addProperty("path", message.getLocation());
      issue.addProperty("text", message.getMessage());
      issues.add(issue);
    }
    return issues;
  }
}
