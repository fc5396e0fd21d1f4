BEGIN TRANSACTION;
CREATE TABLE alerts (
        id TEXT PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        environment TEXT NOT NULL DEFAULT '',
        open INTEGER NOT NULL DEFAULT 1,
        told INTEGER NOT NULL DEFAULT 0,
        version INTEGER NOT NULL DEFAULT 1,
        grouping TEXT NOT NULL DEFAULT '',
        document TEXT NOT NULL
    );
INSERT INTO "alerts" VALUES('ALERT-01M8A4M0CQADY5BBBPQS9ESP3D','health:prod:web','prod',1,0,2,'STORM-00000000000000000000000006','{"id":"ALERT-01M8A4M0CQADY5BBBPQS9ESP3D","fingerprint":"health:prod:web","source":"health","severity":"critical","title":"it is down","started_at":"2026-11-25T19:58:44.117236Z","updated_at":"2026-11-25T19:58:44.140571Z","summary":"since","environment":"prod","service":"web","state":"firing","occurrence":"","correlation_id":"COR-01M8A4M0CQADY5BBBPQS9ESP3E","count":1,"healing":"kept_away","actions":["restarted once"],"acknowledged_by":null,"silenced_by":null,"silenced_until":null,"resolved_at":null,"silence_ends":null,"resolved":null,"escalated":true,"escalated_at":"2026-11-25T19:58:44.140571Z","group":"STORM-00000000000000000000000006","called":false,"called_with":"","version":2}');
INSERT INTO "alerts" VALUES('ALERT-01M8A4M0CY31SBH00JHQEM889S','health:prod:db','prod',1,0,2,'STORM-00000000000000000000000006','{"id":"ALERT-01M8A4M0CY31SBH00JHQEM889S","fingerprint":"health:prod:db","source":"health","severity":"high","title":"it is down","started_at":"2026-11-25T19:58:44.126537Z","updated_at":"2026-11-25T19:58:44.144299Z","summary":"since","environment":"prod","service":"db","state":"acknowledged","occurrence":"","correlation_id":"COR-01M8A4M0CY31SBH00JHQEM889T","count":1,"healing":"none","actions":[],"acknowledged_by":{"kind":"discord","id":"2","name":"anna"},"silenced_by":null,"silenced_until":null,"resolved_at":null,"silence_ends":null,"resolved":null,"escalated":false,"escalated_at":null,"group":"STORM-00000000000000000000000006","called":false,"called_with":"","version":2}');
INSERT INTO "alerts" VALUES('ALERT-01M8A4M0D42E3904WT8DTXKY5R','health:prod:mail','prod',1,0,2,'','{"id":"ALERT-01M8A4M0D42E3904WT8DTXKY5R","fingerprint":"health:prod:mail","source":"health","severity":"warning","title":"it is down","started_at":"2026-11-25T19:58:44.132470Z","updated_at":"2026-11-25T19:58:44.152464Z","summary":"since","environment":"prod","service":"mail","state":"silenced","occurrence":"","correlation_id":"COR-01M8A4M0D42E3904WT8DTXKY5S","count":1,"healing":"none","actions":[],"acknowledged_by":null,"silenced_by":{"kind":"discord","id":"1","name":"dora"},"silenced_until":"2026-11-25T20:58:44.152100Z","resolved_at":null,"silence_ends":{"at":"2026-11-25T20:58:44.152100Z","boot_id":"cd16eb72-5cd0-47d1-b177-87d63a500716","boot_seconds":10797.200348608},"resolved":null,"escalated":false,"escalated_at":null,"group":"","called":false,"called_with":"","version":2}');
CREATE TABLE changes (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        source TEXT NOT NULL,
        environment TEXT NOT NULL DEFAULT '',
        subject TEXT NOT NULL DEFAULT '',
        time TEXT NOT NULL,
        correlation_id TEXT NOT NULL DEFAULT '',
        instance_id TEXT NOT NULL DEFAULT '',
        document TEXT NOT NULL
    );
INSERT INTO "changes" VALUES(1,'CHG-01M8A4M0AST95YENQ98G0W1HA7','lock_changed','locks','staging','staging','2026-11-25T19:58:44.057592+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"lock_changed","source":"locks","environment":"staging","subject":"staging","old":null,"new":"DEPLOY-00000000000000000000000001","metadata":{"token":1,"held_by":"dora","purpose":"deploy v1"},"correlation_id":"COR-1","id":"CHG-01M8A4M0AST95YENQ98G0W1HA7","time":"2026-11-25T19:58:44.057592Z"}');
INSERT INTO "changes" VALUES(2,'CHG-01M8A4M0B4DC6Z9D7PB8YZH7MP','deployment_started','deployments','staging','DEPLOY-00000000000000000000000001','2026-11-25T19:58:44.068268+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"deployment_started","source":"deployments","environment":"staging","subject":"DEPLOY-00000000000000000000000001","old":null,"new":"DEPLOY","metadata":{},"correlation_id":"COR-1","id":"CHG-01M8A4M0B4DC6Z9D7PB8YZH7MP","time":"2026-11-25T19:58:44.068268Z"}');
INSERT INTO "changes" VALUES(3,'CHG-01M8A4M0B4DC6Z9D7PB8YZH7MQ','audit','deployments','staging','DEPLOY-00000000000000000000000001','2026-11-25T19:58:44.068335+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"audit","source":"deployments","environment":"staging","subject":"DEPLOY-00000000000000000000000001","old":null,"new":"deployment asked for","metadata":{"by":"dora","id":"1","kind":"DEPLOY","version":"v2","reason":""},"correlation_id":"COR-1","id":"CHG-01M8A4M0B4DC6Z9D7PB8YZH7MQ","time":"2026-11-25T19:58:44.068335Z"}');
INSERT INTO "changes" VALUES(4,'CHG-01M8A4M0B926M93BE61EG9JB16','release_created','releases','staging','r1','2026-11-25T19:58:44.073621+00:00','','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"release_created","source":"releases","environment":"staging","subject":"r1","old":null,"new":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","metadata":{"version":"v1","deployment":null},"correlation_id":"","id":"CHG-01M8A4M0B926M93BE61EG9JB16","time":"2026-11-25T19:58:44.073621Z"}');
INSERT INTO "changes" VALUES(5,'CHG-01M8A4M0BC3QGS67E16HV0RS5A','release_activated','releases','staging','r1','2026-11-25T19:58:44.076965+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"release_activated","source":"releases","environment":"staging","subject":"r1","old":null,"new":1,"metadata":{},"correlation_id":"COR-1","id":"CHG-01M8A4M0BC3QGS67E16HV0RS5A","time":"2026-11-25T19:58:44.076965Z"}');
INSERT INTO "changes" VALUES(6,'CHG-01M8A4M0BD785CE3D2XWRFF9G3','lock_changed','locks','staging','staging','2026-11-25T19:58:44.077032+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"lock_changed","source":"locks","environment":"staging","subject":"staging","old":"DEPLOY-00000000000000000000000001","new":null,"metadata":{"token":1,"held_by":"dora","purpose":"deploy v1"},"correlation_id":"COR-1","id":"CHG-01M8A4M0BD785CE3D2XWRFF9G3","time":"2026-11-25T19:58:44.077032Z"}');
INSERT INTO "changes" VALUES(7,'CHG-01M8A4M0BD785CE3D2XWRFF9G4','deployment_finished','deployments','staging','DEPLOY-00000000000000000000000001','2026-11-25T19:58:44.077067+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"deployment_finished","source":"deployments","environment":"staging","subject":"DEPLOY-00000000000000000000000001","old":null,"new":"succeeded","metadata":{"problem":""},"correlation_id":"COR-1","id":"CHG-01M8A4M0BD785CE3D2XWRFF9G4","time":"2026-11-25T19:58:44.077067Z"}');
INSERT INTO "changes" VALUES(8,'CHG-01M8A4M0BGDKYMF154JZDD0T38','lock_changed','locks','prod','prod','2026-11-25T19:58:44.080243+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"lock_changed","source":"locks","environment":"prod","subject":"prod","old":null,"new":"DEPLOY-00000000000000000000000003","metadata":{"token":1,"held_by":"dora","purpose":"deploy v2"},"correlation_id":"COR-1","id":"CHG-01M8A4M0BGDKYMF154JZDD0T38","time":"2026-11-25T19:58:44.080243Z"}');
INSERT INTO "changes" VALUES(9,'CHG-01M8A4M0BGDKYMF154JZDD0T39','deployment_started','deployments','prod','DEPLOY-00000000000000000000000003','2026-11-25T19:58:44.080348+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"deployment_started","source":"deployments","environment":"prod","subject":"DEPLOY-00000000000000000000000003","old":null,"new":"DEPLOY","metadata":{},"correlation_id":"COR-1","id":"CHG-01M8A4M0BGDKYMF154JZDD0T39","time":"2026-11-25T19:58:44.080348Z"}');
INSERT INTO "changes" VALUES(10,'CHG-01M8A4M0BGDKYMF154JZDD0T3A','audit','deployments','prod','DEPLOY-00000000000000000000000003','2026-11-25T19:58:44.080369+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"audit","source":"deployments","environment":"prod","subject":"DEPLOY-00000000000000000000000003","old":null,"new":"deployment asked for","metadata":{"by":"dora","id":"1","kind":"DEPLOY","version":"v2","reason":""},"correlation_id":"COR-1","id":"CHG-01M8A4M0BGDKYMF154JZDD0T3A","time":"2026-11-25T19:58:44.080369Z"}');
INSERT INTO "changes" VALUES(11,'CHG-01M8A4M0BM7S77CZFQS2519FGK','release_created','releases','prod','r1','2026-11-25T19:58:44.084364+00:00','','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"release_created","source":"releases","environment":"prod","subject":"r1","old":null,"new":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","metadata":{"version":"v1","deployment":null},"correlation_id":"","id":"CHG-01M8A4M0BM7S77CZFQS2519FGK","time":"2026-11-25T19:58:44.084364Z"}');
INSERT INTO "changes" VALUES(12,'CHG-01M8A4M0BSX2W73ACH90QCZ40H','deployment_phase_changed','deployments','prod','DEPLOY-00000000000000000000000003','2026-11-25T19:58:44.089988+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"deployment_phase_changed","source":"deployments","environment":"prod","subject":"DEPLOY-00000000000000000000000003","old":"pending","new":"success","metadata":{"phase":"initialization","attempts":1,"summary":"fine"},"correlation_id":"COR-1","id":"CHG-01M8A4M0BSX2W73ACH90QCZ40H","time":"2026-11-25T19:58:44.089988Z"}');
INSERT INTO "changes" VALUES(13,'CHG-01M8A4M0BTB70X5ST7XRHSS9X8','deployment_phase_changed','deployments','prod','DEPLOY-00000000000000000000000003','2026-11-25T19:58:44.090753+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"deployment_phase_changed","source":"deployments","environment":"prod","subject":"DEPLOY-00000000000000000000000003","old":"pending","new":"success","metadata":{"phase":"validation","attempts":1,"summary":"fine"},"correlation_id":"COR-1","id":"CHG-01M8A4M0BTB70X5ST7XRHSS9X8","time":"2026-11-25T19:58:44.090753Z"}');
INSERT INTO "changes" VALUES(14,'CHG-01M8A4M0BXCE7DFR87X1D7JMXW','deployment_phase_changed','deployments','prod','DEPLOY-00000000000000000000000003','2026-11-25T19:58:44.093197+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"deployment_phase_changed","source":"deployments","environment":"prod","subject":"DEPLOY-00000000000000000000000003","old":"pending","new":"success","metadata":{"phase":"preparation","attempts":1,"summary":"fine"},"correlation_id":"COR-1","id":"CHG-01M8A4M0BXCE7DFR87X1D7JMXW","time":"2026-11-25T19:58:44.093197Z"}');
INSERT INTO "changes" VALUES(15,'CHG-01M8A4M0C2FGZ3SYJ4QPB8CVDT','deployment_phase_changed','deployments','prod','DEPLOY-00000000000000000000000003','2026-11-25T19:58:44.098092+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"deployment_phase_changed","source":"deployments","environment":"prod","subject":"DEPLOY-00000000000000000000000003","old":"pending","new":"in_progress","metadata":{"phase":"execution","attempts":1,"summary":""},"correlation_id":"COR-1","id":"CHG-01M8A4M0C2FGZ3SYJ4QPB8CVDT","time":"2026-11-25T19:58:44.098092Z"}');
INSERT INTO "changes" VALUES(16,'CHG-01M8A4M0C8AZZW056Y0MX0AVM1','service_progressed','deployments','prod','web','2026-11-25T19:58:44.104452+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"service_progressed","source":"deployments","environment":"prod","subject":"web","old":null,"new":"starting","metadata":{"deployment":"DEPLOY-00000000000000000000000003","detail":"as v2"},"correlation_id":"COR-1","id":"CHG-01M8A4M0C8AZZW056Y0MX0AVM1","time":"2026-11-25T19:58:44.104452Z"}');
INSERT INTO "changes" VALUES(17,'CHG-01M8A4M0CAS1N8S28ZVK6VD7M5','lock_changed','locks','qa','qa','2026-11-25T19:58:44.106202+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"lock_changed","source":"locks","environment":"qa","subject":"qa","old":null,"new":"DEPLOY-00000000000000000000000005","metadata":{"token":1,"held_by":"dora","purpose":"deploy v2"},"correlation_id":"COR-1","id":"CHG-01M8A4M0CAS1N8S28ZVK6VD7M5","time":"2026-11-25T19:58:44.106202Z"}');
INSERT INTO "changes" VALUES(18,'CHG-01M8A4M0CAS1N8S28ZVK6VD7M6','deployment_started','deployments','qa','DEPLOY-00000000000000000000000005','2026-11-25T19:58:44.106339+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"deployment_started","source":"deployments","environment":"qa","subject":"DEPLOY-00000000000000000000000005","old":null,"new":"DEPLOY","metadata":{},"correlation_id":"COR-1","id":"CHG-01M8A4M0CAS1N8S28ZVK6VD7M6","time":"2026-11-25T19:58:44.106339Z"}');
INSERT INTO "changes" VALUES(19,'CHG-01M8A4M0CAS1N8S28ZVK6VD7M7','audit','deployments','qa','DEPLOY-00000000000000000000000005','2026-11-25T19:58:44.106362+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"audit","source":"deployments","environment":"qa","subject":"DEPLOY-00000000000000000000000005","old":null,"new":"deployment asked for","metadata":{"by":"dora","id":"1","kind":"DEPLOY","version":"v2","reason":""},"correlation_id":"COR-1","id":"CHG-01M8A4M0CAS1N8S28ZVK6VD7M7","time":"2026-11-25T19:58:44.106362Z"}');
INSERT INTO "changes" VALUES(20,'CHG-01M8A4M0CKH2KWV1HNA33NVYCT','audit','deployments','qa','DEPLOY-00000000000000000000000005','2026-11-25T19:58:44.115348+00:00','COR-1','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"audit","source":"deployments","environment":"qa","subject":"DEPLOY-00000000000000000000000005","old":null,"new":"cancel requested","metadata":{"by":"anna","id":"2"},"correlation_id":"COR-1","id":"CHG-01M8A4M0CKH2KWV1HNA33NVYCT","time":"2026-11-25T19:58:44.115348Z"}');
INSERT INTO "changes" VALUES(21,'CHG-01M8A4M0CS6SADM3JFMX8JNTKE','alert_triggered','alerts','prod','ALERT-01M8A4M0CQADY5BBBPQS9ESP3D','2026-11-25T19:58:44.121335+00:00','COR-01M8A4M0CQADY5BBBPQS9ESP3E','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"alert_triggered","source":"alerts","environment":"prod","subject":"ALERT-01M8A4M0CQADY5BBBPQS9ESP3D","old":null,"new":"it is down","metadata":{"event":"monitoring.alert.triggered","severity":"critical","source":"health","service":"web"},"correlation_id":"COR-01M8A4M0CQADY5BBBPQS9ESP3E","id":"CHG-01M8A4M0CS6SADM3JFMX8JNTKE","time":"2026-11-25T19:58:44.121335Z"}');
INSERT INTO "changes" VALUES(22,'CHG-01M8A4M0CY31SBH00JHQEM889V','alert_triggered','alerts','prod','ALERT-01M8A4M0CY31SBH00JHQEM889S','2026-11-25T19:58:44.126882+00:00','COR-01M8A4M0CY31SBH00JHQEM889T','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"alert_triggered","source":"alerts","environment":"prod","subject":"ALERT-01M8A4M0CY31SBH00JHQEM889S","old":null,"new":"it is down","metadata":{"event":"monitoring.alert.triggered","severity":"high","source":"health","service":"db"},"correlation_id":"COR-01M8A4M0CY31SBH00JHQEM889T","id":"CHG-01M8A4M0CY31SBH00JHQEM889V","time":"2026-11-25T19:58:44.126882Z"}');
INSERT INTO "changes" VALUES(23,'CHG-01M8A4M0D42E3904WT8DTXKY5T','alert_triggered','alerts','prod','ALERT-01M8A4M0D42E3904WT8DTXKY5R','2026-11-25T19:58:44.132824+00:00','COR-01M8A4M0D42E3904WT8DTXKY5S','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"alert_triggered","source":"alerts","environment":"prod","subject":"ALERT-01M8A4M0D42E3904WT8DTXKY5R","old":null,"new":"it is down","metadata":{"event":"monitoring.alert.triggered","severity":"warning","source":"health","service":"mail"},"correlation_id":"COR-01M8A4M0D42E3904WT8DTXKY5S","id":"CHG-01M8A4M0D42E3904WT8DTXKY5T","time":"2026-11-25T19:58:44.132824Z"}');
INSERT INTO "changes" VALUES(24,'CHG-01M8A4M0DGG7S6XXPG9TZ59GSG','audit','alerts','prod','ALERT-01M8A4M0CY31SBH00JHQEM889S','2026-11-25T19:58:44.144223+00:00','COR-01M8A4M0CY31SBH00JHQEM889T','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"audit","source":"alerts","environment":"prod","subject":"ALERT-01M8A4M0CY31SBH00JHQEM889S","old":"firing","new":"acknowledged","metadata":{"by":"anna","id":"2","title":"it is down"},"correlation_id":"COR-01M8A4M0CY31SBH00JHQEM889T","id":"CHG-01M8A4M0DGG7S6XXPG9TZ59GSG","time":"2026-11-25T19:58:44.144223Z"}');
INSERT INTO "changes" VALUES(25,'CHG-01M8A4M0DRRK8WMXG1FB3T1S6C','audit','alerts','prod','ALERT-01M8A4M0D42E3904WT8DTXKY5R','2026-11-25T19:58:44.152383+00:00','COR-01M8A4M0D42E3904WT8DTXKY5S','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"audit","source":"alerts","environment":"prod","subject":"ALERT-01M8A4M0D42E3904WT8DTXKY5R","old":"firing","new":"silenced","metadata":{"by":"dora","id":"1","title":"it is down"},"correlation_id":"COR-01M8A4M0D42E3904WT8DTXKY5S","id":"CHG-01M8A4M0DRRK8WMXG1FB3T1S6C","time":"2026-11-25T19:58:44.152383Z"}');
INSERT INTO "changes" VALUES(26,'CHG-01M8A4M0EPSFRJVT2QEBT9R601','audit','approvals','prod','PLAN-00000000000000000000000007','2026-11-25T19:58:44.182618+00:00','','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"audit","source":"approvals","environment":"prod","subject":"PLAN-00000000000000000000000007","old":null,"new":"plan awaiting","metadata":{"by":"dora","id":"1","asked_by":"dora","kind":"DEPLOY","version":"v2","digest":"d","deployment":null},"correlation_id":"","id":"CHG-01M8A4M0EPSFRJVT2QEBT9R601","time":"2026-11-25T19:58:44.182618Z"}');
INSERT INTO "changes" VALUES(27,'CHG-01M8A4M0F52S9DRFWT9Q4Y3PBG','audit','freezes','dev','dev','2026-11-25T19:58:44.197065+00:00','','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"audit","source":"freezes","environment":"dev","subject":"dev","old":null,"new":"frozen","metadata":{"by":"anna","id":"2","reason":"the fair","frozen_by":"anna"},"correlation_id":"","id":"CHG-01M8A4M0F52S9DRFWT9Q4Y3PBG","time":"2026-11-25T19:58:44.197065Z"}');
INSERT INTO "changes" VALUES(28,'CHG-01M8A4M0GNGCMNQBX47M72GZ6P','service_started','health','prod','web','2026-11-25T19:58:44.245377+00:00','','BOT-01M8A4M07AKXRGP25BWTZGH53V','{"type":"service_started","source":"health","environment":"prod","subject":"web","old":null,"new":null,"metadata":{},"correlation_id":"","id":"CHG-01M8A4M0GNGCMNQBX47M72GZ6P","time":"2026-11-25T19:58:44.245377Z"}');
CREATE TABLE deployments (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        kind TEXT NOT NULL,
        outcome TEXT,
        interaction_id TEXT UNIQUE,
        cancel_requested_by TEXT,
        document TEXT NOT NULL
    );
INSERT INTO "deployments" VALUES('DEPLOY-00000000000000000000000001','staging','DEPLOY','succeeded','00000000000000000000000000',NULL,'{"id":"DEPLOY-00000000000000000000000001","request":{"environment":"staging","kind":"DEPLOY","requested_by":{"kind":"discord","id":"1","name":"dora"},"version":"v2","services":[],"target_release":null,"reason":"","plan_digest":null,"interaction_id":"00000000000000000000000000","correlation_id":null,"approved_by":null},"coordination":"standard","correlation_id":"COR-1","created_at":"2026-01-01T00:00:00Z","phases":[],"services":[],"from_release":null,"to_release":2,"applied_model":"","handed_over_to":"","attempts":1,"cancel_requested_by":null,"outcome":"succeeded","problem":null,"ended_at":null,"duration_seconds":null,"warnings":[]}');
INSERT INTO "deployments" VALUES('DEPLOY-00000000000000000000000003','prod','DEPLOY',NULL,'00000000000000000000000002',NULL,'{"id":"DEPLOY-00000000000000000000000003","request":{"environment":"prod","kind":"DEPLOY","requested_by":{"kind":"discord","id":"1","name":"dora"},"version":"v2","services":[],"target_release":null,"reason":"","plan_digest":null,"interaction_id":"00000000000000000000000002","correlation_id":null,"approved_by":null},"coordination":"standard","correlation_id":"COR-1","created_at":"2026-01-01T00:00:00Z","phases":[],"services":[],"from_release":null,"to_release":2,"applied_model":"","handed_over_to":"","attempts":1,"cancel_requested_by":null,"outcome":null,"problem":null,"ended_at":null,"duration_seconds":null,"warnings":[]}');
INSERT INTO "deployments" VALUES('DEPLOY-00000000000000000000000005','qa','DEPLOY',NULL,'00000000000000000000000004','{"kind":"discord","id":"2","name":"anna"}','{"id":"DEPLOY-00000000000000000000000005","request":{"environment":"qa","kind":"DEPLOY","requested_by":{"kind":"discord","id":"1","name":"dora"},"version":"v2","services":[],"target_release":null,"reason":"","plan_digest":null,"interaction_id":"00000000000000000000000004","correlation_id":null,"approved_by":null},"coordination":"standard","correlation_id":"COR-1","created_at":"2026-01-01T00:00:00Z","phases":[],"services":[],"from_release":null,"to_release":2,"applied_model":"","handed_over_to":"","attempts":1,"cancel_requested_by":null,"outcome":null,"problem":null,"ended_at":null,"duration_seconds":null,"warnings":[]}');
CREATE TABLE environments (
        name TEXT PRIMARY KEY,
        current_release INTEGER,
        applied_model TEXT NOT NULL DEFAULT ''
    );
INSERT INTO "environments" VALUES('staging',1,'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff');
CREATE TABLE fences (
        name TEXT PRIMARY KEY,
        token INTEGER NOT NULL
    );
INSERT INTO "fences" VALUES('staging',1);
INSERT INTO "fences" VALUES('prod',1);
INSERT INTO "fences" VALUES('qa',1);
INSERT INTO "fences" VALUES('voice',1);
CREATE TABLE freezes (
        environment TEXT PRIMARY KEY,
        document TEXT NOT NULL
    );
INSERT INTO "freezes" VALUES('dev','{"environment":"dev","frozen_by":{"kind":"discord","id":"2","name":"anna"},"reason":"the fair","since":"2026-01-01T00:00:00Z"}');
CREATE TABLE heartbeats (
        instance_id TEXT PRIMARY KEY,
        container_id TEXT NOT NULL DEFAULT '',
        document TEXT NOT NULL
    );
INSERT INTO "heartbeats" VALUES('BOT-01M8A4M07AKXRGP25BWTZGH53V','c','{"instance_id":"BOT-01M8A4M07AKXRGP25BWTZGH53V","boot_id":"boot","beat_at":1.0,"container_id":"c","config_hash":"","version":"","gateway_ready":false,"cogs_loaded":false,"process":{"pid":1,"started":2,"namespace":"n"}}');
CREATE TABLE locks (
        environment TEXT PRIMARY KEY,
        deployment_id TEXT NOT NULL,
        instance_id TEXT NOT NULL,
        token INTEGER NOT NULL,
        document TEXT NOT NULL
    );
INSERT INTO "locks" VALUES('prod','DEPLOY-00000000000000000000000003','BOT-01M8A4M07AKXRGP25BWTZGH53V',1,'{"environment":"prod","deployment_id":"DEPLOY-00000000000000000000000003","held_by":{"kind":"discord","id":"1","name":"dora"},"purpose":"deploy v2","since":"2026-01-01T00:00:00Z","instance_id":"BOT-01M8A4M07AKXRGP25BWTZGH53V","token":1}');
INSERT INTO "locks" VALUES('qa','DEPLOY-00000000000000000000000005','BOT-01M8A4M07AKXRGP25BWTZGH53V',1,'{"environment":"qa","deployment_id":"DEPLOY-00000000000000000000000005","held_by":{"kind":"discord","id":"1","name":"dora"},"purpose":"deploy v2","since":"2026-01-01T00:00:00Z","instance_id":"BOT-01M8A4M07AKXRGP25BWTZGH53V","token":1}');
CREATE TABLE owners (
        name TEXT PRIMARY KEY,
        document TEXT NOT NULL
    );
INSERT INTO "owners" VALUES('voice','{"instance_id":"BOT-01M8A4M07AKXRGP25BWTZGH53V","token":1,"boot_id":"cd16eb72-5cd0-47d1-b177-87d63a500716","lease_until":7203.301080979}');
CREATE TABLE phases (
        deployment_id TEXT NOT NULL REFERENCES deployments (id),
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (deployment_id, name)
    );
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000001',0,'initialization','pending','{"name":"initialization","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000001',1,'validation','pending','{"name":"validation","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000001',2,'preparation','pending','{"name":"preparation","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000001',3,'execution','pending','{"name":"execution","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000001',4,'verification','pending','{"name":"verification","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000001',5,'completion','pending','{"name":"completion","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000001',6,'rollback','pending','{"name":"rollback","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000003',0,'initialization','success','{"name":"initialization","status":"success","attempts":1,"started_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:00:00Z","duration_seconds":1.5,"summary":"fine","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000003',1,'validation','success','{"name":"validation","status":"success","attempts":1,"started_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:00:00Z","duration_seconds":1.5,"summary":"fine","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000003',2,'preparation','success','{"name":"preparation","status":"success","attempts":1,"started_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:00:00Z","duration_seconds":1.5,"summary":"fine","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000003',3,'execution','in_progress','{"name":"execution","status":"in_progress","attempts":1,"started_at":"2026-01-01T00:00:00Z","ended_at":null,"duration_seconds":null,"summary":"","warnings":["slow"],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000003',4,'verification','pending','{"name":"verification","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000003',5,'completion','pending','{"name":"completion","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000003',6,'rollback','pending','{"name":"rollback","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000005',0,'initialization','pending','{"name":"initialization","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000005',1,'validation','pending','{"name":"validation","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000005',2,'preparation','pending','{"name":"preparation","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000005',3,'execution','pending','{"name":"execution","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000005',4,'verification','pending','{"name":"verification","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000005',5,'completion','pending','{"name":"completion","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
INSERT INTO "phases" VALUES('DEPLOY-00000000000000000000000005',6,'rollback','pending','{"name":"rollback","status":"pending","attempts":0,"started_at":null,"ended_at":null,"duration_seconds":null,"summary":"","warnings":[],"problem":null}');
CREATE TABLE posts (
        subject TEXT NOT NULL,
        kind TEXT NOT NULL,
        finished INTEGER NOT NULL DEFAULT 0,
        document TEXT NOT NULL,
        PRIMARY KEY (subject, kind)
    );
INSERT INTO "posts" VALUES('DEPLOY-00000000000000000000000003','live',0,'{"subject":"DEPLOY-00000000000000000000000003","kind":"live","channel_id":5,"message_id":6,"content_hash":"abc","finished":false}');
INSERT INTO "posts" VALUES('ALERT-01M8A4M0CQADY5BBBPQS9ESP3D','alert',0,'{"subject":"ALERT-01M8A4M0CQADY5BBBPQS9ESP3D","kind":"alert","channel_id":5,"message_id":6,"content_hash":"abc","finished":false}');
INSERT INTO "posts" VALUES('ALERT-01M8A4M0CQADY5BBBPQS9ESP3D','call',0,'{"subject":"ALERT-01M8A4M0CQADY5BBBPQS9ESP3D","kind":"call","channel_id":5,"message_id":6,"content_hash":"abc","finished":false}');
INSERT INTO "posts" VALUES('PLAN-00000000000000000000000007','approval',0,'{"subject":"PLAN-00000000000000000000000007","kind":"approval","channel_id":5,"message_id":6,"content_hash":"abc","finished":false}');
CREATE TABLE projections (
        name TEXT PRIMARY KEY,
        document TEXT NOT NULL
    );
CREATE TABLE proposals (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        ended INTEGER NOT NULL DEFAULT 0,
        document TEXT NOT NULL
    );
INSERT INTO "proposals" VALUES('PLAN-00000000000000000000000007','prod',0,'{"id":"PLAN-00000000000000000000000007","request":{"environment":"prod","kind":"DEPLOY","requested_by":{"kind":"discord","id":"1","name":"dora"},"version":"v2","services":[],"target_release":null,"reason":"","plan_digest":"d","interaction_id":null,"correlation_id":null,"approved_by":null},"plan":{"environment":"prod","version":"v2","from_release":1,"to_release":null,"services":[{"service":"web","action":"recreate","old_image":"shop/web:v1","new_image":"shop/web:v2","expected_image":null,"changed_keys":["ports"],"start_first":false}],"order":["web"],"warnings":["slow"],"digest":"d"},"created_at":"2026-01-01T00:00:00Z","expires_at":"2125-12-08T00:00:00Z","state":"awaiting","decided_by":null,"decided_at":null,"deployment_id":null,"note":"","boot_id":"","expires_boot_seconds":0.0}');
CREATE TABLE recoveries (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        service TEXT NOT NULL,
        action TEXT NOT NULL,
        begun_at TEXT NOT NULL,
        document TEXT NOT NULL
    );
INSERT INTO "recoveries" VALUES('STEP-1','prod','web','restart','2026-01-01T00:00:00+00:00','{"id":"STEP-1","alert_id":"ALERT-01M8A4M0CQADY5BBBPQS9ESP3D","environment":"prod","service":"web","action":"restart","begun_at":"2026-01-01T00:00:00Z","result":"","boot_id":"","boot_seconds":0.0}');
CREATE TABLE releases (
        environment TEXT NOT NULL,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        kept INTEGER NOT NULL DEFAULT 1,
        document TEXT NOT NULL,
        PRIMARY KEY (environment, number)
    );
INSERT INTO "releases" VALUES('staging',1,'succeeded',1,'{"environment":"staging","number":1,"version":"v1","state":"succeeded","services":[{"name":"web","image":{"reference":"shop/web:v1","image_id":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","digest":null,"built":true},"definition_hash":"h","replicas":2}],"model_hash":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","created_at":"2026-01-01T00:00:00Z","created_by":{"kind":"discord","id":"1","name":"dora"},"deployment_id":null,"replaces":null}');
INSERT INTO "releases" VALUES('prod',1,'candidate',1,'{"environment":"prod","number":1,"version":"v1","state":"candidate","services":[{"name":"web","image":{"reference":"shop/web:v1","image_id":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","digest":null,"built":true},"definition_hash":"h","replicas":2}],"model_hash":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff","created_at":"2026-01-01T00:00:00Z","created_by":{"kind":"discord","id":"1","name":"dora"},"deployment_id":null,"replaces":null}');
CREATE TABLE service_progress (
        deployment_id TEXT NOT NULL REFERENCES deployments (id),
        position INTEGER NOT NULL,
        service TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (deployment_id, service)
    );
INSERT INTO "service_progress" VALUES('DEPLOY-00000000000000000000000003',0,'web','{"service":"web","step":"starting","detail":"as v2","fraction":0.5,"old_image":"shop/web:v1","new_image":"shop/web:v2","changed":true,"updated_at":"2026-11-25T19:58:44.100258Z"}');
CREATE INDEX changes_by_environment ON changes (environment, sequence);
CREATE INDEX deployments_by_environment ON deployments (environment, id);
CREATE INDEX proposals_open ON proposals (ended, id);
CREATE INDEX alerts_by_fingerprint ON alerts (fingerprint, id);
CREATE INDEX alerts_open ON alerts (open, id);
CREATE INDEX alerts_by_group ON alerts (grouping, id);
CREATE INDEX recoveries_by_service ON recoveries (environment, service, begun_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('changes',28);
COMMIT;
PRAGMA user_version = 5;
