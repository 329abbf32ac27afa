"""The hub in Python: for those who want to add services of their own beside it.

    twistd --nodaemon --python /etc/mailhub/mailhub.tac

is the same as ``twistd --nodaemon mailhub --config /etc/mailhub/mailhub.ini``.
"""

from twisted.application.service import Application

from mailhub.service import hub_from_file

application = Application("mailhub")
hub_from_file("/etc/mailhub/mailhub.ini").setServiceParent(application)
