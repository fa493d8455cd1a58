# SPDX-License-Identifier: Apache-2.0
"""What is asked of an API server for the user's own objects, besides their apply: their
metadata, lists of a label, deletion, and which kinds there are."""

from . import wire

PART_OF = "applyset.kubernetes.io/part-of"


class ObjectsApi:
    """The part of an ApiServer that answers for objects: `self.objects`, `self.lock`,
    `self.error`, `self.refuse`, `self.behaviour`."""

    def answer_object(self, request):
        """The response, or None when somebody else has it."""
        accept = request.headers.get("accept", "")
        if request.method == "GET" and "labelSelector" in request.query and "List" in accept:
            return self.members_of_set(request)
        if request.method == "GET" and "PartialObjectMetadata" in accept:
            return self.metadata(request)
        if request.method == "DELETE" and request.body and \
                {"preconditions", "dryRun"} & set(request.json()):
            return self.delete_object(request)
        if request.method == "GET" and (request.path == "/apis" or
                                        request.path.startswith("/apis/example.com/")):
            return self.discover(request)
        return None

    def metadata(self, request):
        found = self.objects.get(request.path)
        if found is None:
            return self.error(404, f"{request.path} not found")
        return wire.Response(200, {"kind": "PartialObjectMetadata",
                                   "apiVersion": "meta.k8s.io/v1",
                                   "metadata": found["metadata"]})

    def members_of_set(self, request):
        key, _, value = request.query["labelSelector"].partition("=")
        if key != PART_OF:
            return self.refuse(request, "unexpected label")
        plural = request.path.rsplit("/", 1)[1]
        with self.lock:
            items = [{"metadata": {**o["metadata"], "managedFields": [
                        {"manager": "mkcluster", "operation": "Apply"}]}}
                     for path, o in self.objects.items()
                     if path.split("/")[-2] == plural and
                     o["metadata"].get("labels", {}).get(PART_OF) == value]
        return wire.Response(200, {"kind": "PartialObjectMetadataList", "items": items})

    def delete_object(self, request):
        if request.path in self.behaviour.refuse_delete:
            return self.error(403, "nobody may")
        with self.lock:
            found = self.objects.get(request.path)
            if found is None:
                return self.error(404, f"{request.path} not found")
            wanted = request.json().get("preconditions", {}).get("uid")
            if wanted not in (None, found["metadata"].get("uid")):
                return self.error(409, "the UID in the precondition does not match")
            if "dryRun" not in request.json():
                del self.objects[request.path]
        return wire.Response(200, {"kind": "Status", "details": {
            "uid": found["metadata"].get("uid")}})

    def discover(self, request):
        if request.path == "/apis":
            return wire.Response(200, {"groups": [{"name": "apps", "versions": [
                {"groupVersion": "apps/v1"}]}]})
        return self.error(404, "the server could not find the requested resource")
